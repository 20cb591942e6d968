#include "base/json.hpp"

#include "support/catch.hpp"

using namespace bulkhead;

namespace {

std::string message_of(std::string_view text) {
  const auto parsed = parse_json(text, "vm.json");
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().code == Code::invalid);
  return parsed.error().what;
}

bool starts_with(const std::string& text, std::string_view start) {
  INFO(text);
  CHECK(text.starts_with(start));
  return text.starts_with(start);
}

}  // namespace

TEST_CASE("an error in a document names its line and column") {
  CHECK(starts_with(message_of("{\n  \"a\": 1,\n  \"b\": x\n}"), "parse 'vm.json': line 3, column 8: "));
  CHECK(starts_with(message_of("]"), "parse 'vm.json': line 1, column 1: "));
  CHECK(starts_with(message_of("{\"a\": 1,}"), "parse 'vm.json': line 1, column 9: "));
  CHECK(starts_with(message_of("\n\n  {\"a\" 1}"), "parse 'vm.json': line 3, column 8: "));
}

TEST_CASE("a document that ends early is refused at its end") {
  CHECK(starts_with(message_of(""), "parse 'vm.json': line 1, column 1: "));
  CHECK(starts_with(message_of("{\"a\": [1, 2"), "parse 'vm.json': line 1, column 12: "));
}

TEST_CASE("the message keeps the parser's cause and not its name") {
  const std::string message = message_of("{\"a\" 1}");
  CHECK(message.find("json.exception") == std::string::npos);
  CHECK(message.find("expected ':'") != std::string::npos);
}

TEST_CASE("text that is not UTF-8 is refused") { message_of("{\"a\": \"\xff\"}"); }

TEST_CASE("a number that no type can hold is refused, not thrown") { message_of("{\"a\": 1e999}"); }

TEST_CASE("a document that is nested deeper than any of ours is refused before it can exhaust the stack") {
  CHECK(parse_json(std::string(64, '[') + std::string(64, ']'), "x").has_value());
  CHECK(message_of(std::string(65, '[') + std::string(65, ']')).find("nested") != std::string::npos);
  message_of(std::string(1'000'000, '['));
  CHECK(parse_json("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]", "x").has_value());
}

TEST_CASE("a reader names the key that is missing or mistyped") {
  const Json object{{"text", "x"}, {"number", 7}, {"object", Json::object()}, {"real", 1.5}, {"flag", true}};
  CHECK(string_at(object, "text").value() == "x");
  CHECK(integer_at(object, "number").value() == 7);
  CHECK(object_at(object, "object").value() == Json::object());
  CHECK(string_at(object, "number").error().what == "read 'number': not a string");
  CHECK(string_at(object, "none").error().what == "read 'none': not a string");
  CHECK(integer_at(object, "real").error().what == "read 'real': not an integer");
  CHECK(integer_at(object, "flag").error().what == "read 'flag': not an integer");
  CHECK(object_at(object, "text").error().what == "read 'text': not an object");
  for (const auto& error : {string_at(object, "none").error(), object_at(object, "none").error()}) {
    CHECK(error.code == Code::invalid);
  }
}

TEST_CASE("an integer that is too large is refused, not wrapped into a negative one") {
  const Json object = Json::parse(R"({"pid": 18446744073709551615, "max": 9223372036854775807})");
  CHECK_FALSE(integer_at(object, "pid").has_value());
  CHECK(integer_at(object, "max").value() == INT64_MAX);
  CHECK(integer_or(object, "pid", 5) == 5);
}

TEST_CASE("readers take any kind of value for a document without throwing") {
  for (const Json& value : {Json(), Json(1), Json("text"), Json::array({1, 2}), Json(true)}) {
    CHECK_FALSE(string_at(value, "key").has_value());
    CHECK_FALSE(integer_at(value, "key").has_value());
    CHECK_FALSE(object_at(value, "key").has_value());
    CHECK(string_or(value, "key", "default") == "default");
    CHECK(integer_or(value, "key", 9) == 9);
    CHECK(flag_or(value, "key", Flag::on) == Flag::on);
  }
}

TEST_CASE("a flag is only what is written as one") {
  const Json object{{"yes", true}, {"no", false}, {"one", 1}, {"text", "true"}};
  CHECK(on(flag_or(object, "yes", Flag::off)));
  CHECK_FALSE(on(flag_or(object, "no", Flag::on)));
  CHECK_FALSE(on(flag_or(object, "one", Flag::off)));
  CHECK_FALSE(on(flag_or(object, "text", Flag::off)));
}

TEST_CASE("text that is not UTF-8 can be written, with a replacement character") {
  CHECK(dump(Json("a\xff")) == "\"a\xef\xbf\xbd\"");
  CHECK(dump_pretty(Json{{"a\xff", 1}}).find("\xef\xbf\xbd") != std::string::npos);
}

TEST_CASE("an error survives the way through JSON whole") {
  const Error error{.code = Code::timed_out,
                    .what = "stop 'dev1': still alive after 5 s",
                    .hint = "try --force",
                    .problems = {{"/cpus", "is 0", "at least 1"}, {"", "is empty", ""}}};
  const Error back = error_from_json(to_json(error));
  CHECK(back.code == error.code);
  CHECK(back.what == error.what);
  CHECK(back.hint == error.hint);
  REQUIRE(back.problems.size() == 2);
  CHECK(back.problems[0].pointer == "/cpus");
  CHECK(back.problems[0].reason == "is 0");
  CHECK(back.problems[0].hint == "at least 1");
  CHECK(back.problems[1].reason == "is empty");
  CHECK(to_json(back) == to_json(error));
}

TEST_CASE("an error without a hint or problems has no such keys") {
  const Json json = to_json(Error{.code = Code::busy, .what = "x"});
  CHECK(json == Json{{"code", "busy"}, {"message", "x"}});
}

TEST_CASE("whatever a peer sends as an error can be read") {
  for (const char* text : {"{}", "[]", "null", "7", R"({"code": 3, "message": [], "problems": {}})",
                           R"({"code": "new_in_a_later_version", "problems": [1, null, "x", {"pointer": 4}]})"}) {
    INFO(text);
    const Error error = error_from_json(Json::parse(text));
    CHECK(error.code == Code::internal);
    CHECK_FALSE(error.what.empty());
  }
}
