#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/schema.hpp"
#include "support/catch.hpp"

using namespace bulkhead;

namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  REQUIRE(in.is_open());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Every schema that is published: for documents of ours, and for each driver's options.
std::vector<std::filesystem::path> published() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(SOURCE_DIR "/sdk/schema")) files.push_back(entry.path());
  for (const auto& entry : std::filesystem::directory_iterator(SOURCE_DIR "/plugins")) {
    if (entry.is_directory()) files.push_back(entry.path() / "config.schema.json");
  }
  return files;
}

Json schema_in(const std::filesystem::path& file) {
  INFO(file.string());
  auto json = parse_json(text_of(file), file.string());
  if (!json) FAIL(json.error().what);
  return *json;
}

// Checks the "default" and "examples" of each part of a schema against that part.
void check_samples(const Json& part, const Json& root, const std::string& where) {
  if (part.is_object() && (part.contains("default") || part.contains("examples"))) {
    Json alone = part;
    if (root.contains("definitions")) alone["definitions"] = root.at("definitions");
    const auto schema = Schema::compile(alone, where);
    REQUIRE(schema.has_value());
    INFO(where);
    Json samples = part.value("examples", Json::array());
    if (part.contains("default")) samples.push_back(part.at("default"));
    for (const Json& sample : samples) {
      INFO(dump(sample));
      CHECK(schema->check(sample).empty());
    }
  }
  if (!part.is_structured()) return;
  for (const auto& [key, child] : part.items()) check_samples(child, root, where + "/" + key);
}

}  // namespace

TEST_CASE("every published schema is JSON, says that it is draft 7, and compiles") {
  REQUIRE(published().size() >= 3);
  for (const auto& file : published()) {
    INFO(file.string());
    const Json json = schema_in(file);
    CHECK(string_or(json, "$schema") == "http://json-schema.org/draft-07/schema#");
    CHECK_FALSE(string_or(json, "title").empty());
    const auto schema = Schema::compile(json, file.string());
    if (!schema) FAIL(schema.error().what);
  }
}

TEST_CASE("no two schemas have the same $id") {
  std::set<std::string> ids;
  for (const auto& file : published()) {
    const std::string id = string_or(schema_in(file), "$id");
    INFO(id);
    if (!id.empty()) CHECK(ids.insert(id).second);
  }
}

TEST_CASE("every default and example in a schema is valid by that schema") {
  for (const auto& file : published()) {
    const Json json = schema_in(file);
    check_samples(json, json, file.filename().string());
  }
}

TEST_CASE("a driver's options schema refuses keys that it does not know") {
  for (const auto& file : published()) {
    if (file.filename() != "config.schema.json") continue;
    INFO(file.string());
    const auto schema = Schema::compile(schema_in(file), file.string());
    REQUIRE(schema.has_value());
    CHECK(schema->check(Json{{"no_such_option", 1}}).size() == 1);
    CHECK(schema->check(Json::object()).empty());
  }
}
