#include "api/message.hpp"

#include "support/catch.hpp"

using namespace bulkhead;

TEST_CASE("an error survives the way as a problem, with its code, hint and places") {
  const Error error{.code = Code::busy,
                    .what = "start 'dev': it is running",
                    .hint = "stop it first",
                    .problems = {{"/cpus", "is 0", "use 1"}}};
  const auto back = api::outcome(api::failure(error));
  REQUIRE_FALSE(back);
  CHECK(back.error().code == error.code);
  CHECK(back.error().what == error.what);
  CHECK(back.error().hint == error.hint);
  REQUIRE(back.error().problems.size() == 1);
  CHECK(back.error().problems[0].pointer == "/cpus");
  CHECK(back.error().problems[0].hint == "use 1");
}

TEST_CASE("every code has a status of its kind, and a problem has what RFC 9457 asks for") {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    const auto response = api::failure({.code = static_cast<Code>(i), .what = "x"});
    CHECK(response.status >= 400);
    CHECK(response.status < 600);
    CHECK(response.body.at("status") == response.status);
    CHECK(response.body.at("type").get<std::string>().starts_with("urn:bulkhead:"));
    CHECK(response.headers.at("content-type") == "application/problem+json");
  }
}

TEST_CASE("an error as programs before version 0.2 say it is understood") {
  const auto back = api::outcome({.status = 410, .body = {{"error", {{"code", "gone"}, {"message", "no leader"}}}}});
  REQUIRE_FALSE(back);
  CHECK(back.error().code == Code::gone);
  CHECK(back.error().what == "no leader");
}

TEST_CASE("an answer that is no answer is an internal error, not a success") {
  const auto back = api::outcome({.status = 500, .body = Json::object()});
  REQUIRE_FALSE(back);
  CHECK(back.error().code == Code::internal);
}

TEST_CASE("a flag or number in a query that is neither is refused") {
  api::Request request{.method = "GET", .path = "/"};
  request.query = {{"yes", "true"}, {"no", "false"}, {"odd", "1"}, {"n", "42"}, {"bad", "4x"}, {"minus", "-1"}};
  CHECK(api::query_flag(request, "yes").value() == Flag::on);
  CHECK(api::query_flag(request, "no").value() == Flag::off);
  CHECK(api::query_flag(request, "absent").value() == Flag::off);
  CHECK_FALSE(api::query_flag(request, "odd"));
  CHECK(api::query_number(request, "n", 7).value() == 42);
  CHECK(api::query_number(request, "absent", 7).value() == 7);
  CHECK_FALSE(api::query_number(request, "bad", 7));
  CHECK_FALSE(api::query_number(request, "minus", 7));
}
