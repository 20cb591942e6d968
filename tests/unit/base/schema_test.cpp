#include "base/schema.hpp"

#include <algorithm>

#include "support/catch.hpp"

using namespace bulkhead;

namespace {

Schema machine() {
  return Schema::compile(Json::parse(R"({
    "type": "object", "additionalProperties": false, "required": ["name", "driver"],
    "properties": {
      "name": {"type": "string"},
      "driver": {"type": "string", "examples": ["qemu"]},
      "cpus": {"type": "integer", "minimum": 1, "maximum": 64},
      "memory": {"type": "string", "pattern": "^[0-9]{1,12}(MiB|GiB)$", "examples": ["512MiB", "2GiB"]},
      "console": {"type": "object", "additionalProperties": false,
                  "properties": {"type": {"enum": ["serial", "none"]}}},
      "disks": {"type": "array", "maxItems": 3, "items": {"$ref": "#/definitions/disk"}},
      "odd/key~": {"type": "integer"},
      "size": {"type": ["integer", "string"]}},
    "definitions": {"disk": {"type": "object", "additionalProperties": false, "required": ["path"],
      "properties": {"path": {"type": "string", "minLength": 1}, "format": {"enum": ["raw", "qcow2"]},
                     "readonly": {"type": "boolean"}}}}
  })"),
                         "machine")
      .value();
}

std::vector<Problem> problems_of(const char* document, std::string_view prefix = {}) {
  return machine().check(Json::parse(document), prefix);
}

// The one problem of a document.
Problem problem_of(const char* document) {
  INFO(document);
  const auto problems = problems_of(document);
  for (const Problem& p : problems) UNSCOPED_INFO("'" << p.pointer << "' " << p.reason << " (" << p.hint << ")");
  REQUIRE(problems.size() == 1);
  return problems.front();
}

const Problem* find(const std::vector<Problem>& problems, std::string_view pointer) {
  const auto it = std::ranges::find(problems, pointer, &Problem::pointer);
  return it == problems.end() ? nullptr : &*it;
}

}  // namespace

TEST_CASE("a document that matches has no problems") {
  CHECK(problems_of(R"({"name": "a", "driver": "qemu"})").empty());
  CHECK(problems_of(R"({"name": "a", "driver": "qemu", "cpus": 64, "memory": "1GiB", "console": {"type": "none"},
                        "disks": [{"path": "/d", "format": "raw", "readonly": true}], "odd/key~": 1, "size": "x"})")
            .empty());
}

TEST_CASE("all problems are found in one go, each at its place") {
  const auto problems = problems_of(R"({"name": 5, "driver": "qemu", "cpus": 0, "memroy": "1GiB",
      "console": {"type": "Serial"}, "disks": [{"path": "/a"}, {"path": "", "formt": "raw"}, {"format": "vhd"}]})");
  for (const char* pointer : {"/name", "/cpus", "/memroy", "/console/type", "/disks/1/path", "/disks/1/formt",
                              "/disks/2", "/disks/2/format"}) {
    INFO(pointer);
    CHECK(find(problems, pointer) != nullptr);
  }
  CHECK(problems.size() == 8);
}

TEST_CASE("an unknown key gets the key that was meant, or the keys that there are") {
  CHECK(problem_of(R"({"name": "a", "driver": "q", "cpuz": 1})").hint == "did you mean 'cpus'?");
  const Problem far = problem_of(R"({"name": "a", "driver": "q", "console": {"colour": 1}})");
  CHECK(far.pointer == "/console/colour");
  CHECK(far.reason == "unknown key 'colour'");
  CHECK(far.hint == "known keys: \"type\"");
}

TEST_CASE("each unknown key is its own problem") {
  const auto problems = problems_of(R"({"name": "a", "driver": "q", "one_x": 1, "two_x": 2})");
  CHECK(problems.size() == 2);
  CHECK(find(problems, "/one_x") != nullptr);
  CHECK(find(problems, "/two_x") != nullptr);
}

TEST_CASE("each missing key is named") {
  const auto problems = problems_of("{}");
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].pointer.empty());
  CHECK(problems[0].reason == "required key 'name' is missing");
  CHECK(problems[1].reason == "required key 'driver' is missing");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "disks": [{}]})").pointer == "/disks/0");
}

TEST_CASE("a value outside a list gets the list, and what was meant") {
  const Problem near = problem_of(R"({"name": "a", "driver": "q", "console": {"type": "seral"}})");
  CHECK(near.reason == "\"seral\" is not one of \"serial\", \"none\"");
  CHECK(near.hint == "did you mean \"serial\"?");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "console": {"type": 7}})").hint.empty());
}

TEST_CASE("a value that breaks a pattern is answered with examples") {
  const Problem p = problem_of(R"({"name": "a", "driver": "q", "memory": "512"})");
  CHECK(p.pointer == "/memory");
  CHECK(p.reason == "\"512\" is not written as expected");
  CHECK(p.hint == "write it like \"512MiB\", \"2GiB\"");
}

TEST_CASE("a value of the wrong type is told which type is expected") {
  CHECK(problem_of(R"({"name": "a", "driver": 1})").reason == "expected string, got number 1");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "cpus": "2"})").reason == "expected integer, got string \"2\"");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "disks": {}})").reason == "expected array, got object {}");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "size": null})").reason.find("\"integer\", \"string\"") !=
        std::string::npos);
  CHECK(problem_of("[]").reason == "expected object, got array []");
}

TEST_CASE("types are strict: a number in a string, a real number or a flag is not an integer") {
  for (const char* cpus : {"\"4\"", "2.5", "true", "null", "[1]"}) {
    const std::string document = std::string(R"({"name": "a", "driver": "q", "cpus": )") + cpus + "}";
    CHECK(problem_of(document.c_str()).pointer == "/cpus");
  }
}

TEST_CASE("a number out of bounds is told the bound and itself") {
  const Problem p = problem_of(R"({"name": "a", "driver": "q", "cpus": 65})");
  CHECK(p.reason == "expected number less than or equal to 64, got 65");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "cpus": 18446744073709551615})").pointer == "/cpus");
  CHECK(problem_of(R"({"name": "a", "driver": "q", "cpus": -9223372036854775808})").pointer == "/cpus");
}

TEST_CASE("a list that is too long is refused") {
  const char* document =
      R"({"name": "a", "driver": "q", "disks": [{"path": "1"}, {"path": "2"}, {"path": "3"}, {"path": "4"}]})";
  CHECK(problem_of(document).pointer == "/disks");
}

TEST_CASE("keys with slashes and tildes are escaped in pointers, and the prefix comes first") {
  const auto problems = problems_of(R"({"name": "a", "driver": "q", "odd/key~": "x"})", "/options");
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].pointer == "/options/odd~1key~0");
}

TEST_CASE("a long value is shortened in the message") {
  const std::string document = R"({"name": "a", "driver": "q", "memory": ")" + std::string(3000, 'x') + "\"}";
  CHECK(problem_of(document.c_str()).reason.size() < 120);
}

TEST_CASE("a value of a million characters is refused instead of exhausting the stack of the pattern matcher") {
  const std::string document = R"({"name": "a", "driver": "q", "memory": ")" + std::string(1'000'000, '1') + "\"}";
  const Problem p = problem_of(document.c_str());
  CHECK(p.pointer == "/memory");
  const Schema word =
      Schema::compile(Json{{"type", "string"}, {"pattern", "^[A-Za-z0-9][A-Za-z0-9_.,=+-]*$"}}, "word").value();
  CHECK(word.check(Json(std::string(1'000'000, 'a'))).size() == 1);
  CHECK(word.check(Json(std::string(4'096, 'a'))).empty());
}

TEST_CASE("a schema that makes no sense does not compile, and the error says which it was") {
  const auto schema = Schema::compile(Json{{"type", 7}}, "options.json");
  REQUIRE_FALSE(schema.has_value());
  CHECK(schema.error().code == Code::invalid);
  CHECK(schema.error().what.starts_with("compile schema 'options.json': "));
  CHECK_FALSE(Schema::compile(Json{{"pattern", "("}, {"type", "string"}}, "x").has_value());
  CHECK_FALSE(Schema::compile(Json{{"$ref", "https://example.org/schema"}}, "x").has_value());
}
