#include "cli/yaml.hpp"

#include <yaml-cpp/yaml.h>

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

// As a reader of YAML sees it: "!" is a text that was quoted, "?" is whatever it looks like.
Json read(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& pair : node) object[pair.first.Scalar()] = read(pair.second);
    return object;
  }
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const auto& child : node) list.push_back(read(child));
    return list;
  }
  if (node.IsNull()) return nullptr;
  if (node.Tag() == "!") return node.Scalar();
  const Json value = Json::parse(node.Scalar(), nullptr, false);
  return value.is_discarded() ? Json(node.Scalar()) : value;
}

Json round_trip(const Json& value) {
  const std::string text = to_yaml(value);
  INFO(text);
  CHECK(text.ends_with("\n"));
  return read(YAML::Load(text));
}

}  // namespace

TEST_CASE("a document comes back from YAML as it was") {
  const Json document = Json::parse(R"({
    "name": "dev", "empty": "", "none": null, "yes": true, "count": 7, "big": 9007199254740993, "half": 0.5, "tiny": 1e-30,
    "list": [], "object": {}, "nested": [[1, [2]], [], {"a": [{"b": {}}]}], "with space": "a b",
    "lines": "one\ntwo\n", "tab": "\t", "quote": "say \"no\" \\ 'x'", "umlaut": "größe 虚", "escape": "\u001b[2J\u0000\u0085",
    "key: odd # {}": "v"})");
  CHECK(round_trip(document) == document);
}

TEST_CASE("a text that some reader of YAML takes for something else is quoted") {
  for (const char* text : {"yes",
                           "No",
                           "ON",
                           "off",
                           "y",
                           "N",
                           "true",
                           "False",
                           "null",
                           "NULL",
                           "~",
                           "",
                           " ",
                           "7",
                           "-7",
                           "1.5",
                           "1e3",
                           ".inf",
                           "-.INF",
                           ".nan",
                           "0x1f",
                           "0o17",
                           "017",
                           "0b1",
                           "1_000",
                           "12:30",
                           "12:30:45",
                           "2024-05-01",
                           "2024-05-01T12:00:00.123Z",
                           "- a",
                           "a: b",
                           "a #b",
                           "#a",
                           "*a",
                           "&a",
                           "!a",
                           "%a",
                           "@a",
                           "`a",
                           "|",
                           ">",
                           "{a",
                           "[a",
                           "?",
                           "=",
                           "<<",
                           "a\n",
                           "'a",
                           "\"a",
                           "---",
                           "...",
                           "a ",
                           " a"}) {
    INFO(text);
    CHECK(round_trip(Json{{"t", text}}) == Json{{"t", text}});
    CHECK(to_yaml(Json{{"t", text}}).starts_with("t: \""));
  }
  CHECK(to_yaml(Json{{"t", "qemu-system-x86_64"}}) == "t: qemu-system-x86_64\n");
}

TEST_CASE("what is not UTF-8 is replaced, and nothing is thrown") {
  CHECK(round_trip(Json{{"t", "a\xff"}}) == Json{{"t", "a\xef\xbf\xbd"}});
}
