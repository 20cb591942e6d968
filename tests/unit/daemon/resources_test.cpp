#include "daemon/resources.hpp"

#include <algorithm>
#include <set>

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::daemon;

namespace {

std::set<std::string> documented() {
  std::set<std::string> routes;
  const Json paths = Resources::document().at("paths");
  for (const auto& [path, methods] : paths.items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(c & ~0x20); });
      routes.insert(upper + " " + path);
    }
  }
  return routes;
}

}  // namespace

TEST_CASE("what the daemon serves is what openapi.json has, and nothing else") {
  std::set<std::string> served;
  for (const auto& [method, path] : Resources::all()) CHECK(served.insert(method + " " + path).second);
  CHECK(served == documented());
}

TEST_CASE("every operation of openapi.json has an id of its own and says how it fails") {
  std::set<std::string> ids;
  const Json paths = Resources::document().at("paths");
  for (const auto& [path, methods] : paths.items()) {
    for (const auto& [method, operation] : methods.items()) {
      CAPTURE(path, method);
      CHECK(ids.insert(operation.at("operationId")).second);
      CHECK(operation.at("responses").at("default").at("$ref") == "#/components/responses/Problem");
    }
  }
}

TEST_CASE("the codes of openapi.json are those of the programs") {
  const Json codes =
      Resources::document().at("components").at("schemas").at("Problem").at("properties").at("code").at("enum");
  for (const Json& code : codes) CHECK(name(code_named(code.get<std::string>())) == code.get<std::string>());
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    const std::string known(name(static_cast<Code>(i)));
    CHECK(std::ranges::find(codes, Json(known)) != codes.end());
  }
}
