#include "base/result.hpp"

#include <array>
#include <set>

#include "support/catch.hpp"

using namespace bulkhead;

namespace {

constexpr std::array all_codes{Code::invalid, Code::refused,     Code::not_found,    Code::exists,
                               Code::busy,    Code::unsupported, Code::incompatible, Code::unavailable,
                               Code::denied,  Code::timed_out,   Code::cancelled,    Code::gone,
                               Code::foreign, Code::unknown,     Code::io,           Code::internal};

Result<int> twice(const Result<int>& given) {
  TRY(const int value, given);
  return 2 * value;
}

Result<void> pass_on(const Result<void>& given) {
  CHECKED(given);
  return fail(Code::exists, "went on");
}

}  // namespace

TEST_CASE("each code has a name of its own, and is found by it") {
  std::set<std::string_view> names;
  for (const Code code : all_codes) {
    CHECK(names.insert(name(code)).second);
    CHECK(code_named(name(code)) == code);
  }
}

TEST_CASE("an unknown name is an internal error") {
  CHECK(code_named("") == Code::internal);
  CHECK(code_named("Invalid") == Code::internal);
}

TEST_CASE("a program exits with 3 when input or policy refuses, 4 when time is up, else 1") {
  for (const Code code : all_codes) {
    const int expected = code == Code::invalid || code == Code::refused ? 3 : code == Code::timed_out ? 4 : 1;
    INFO(name(code));
    CHECK(exit_code(code) == expected);
  }
}

TEST_CASE("context is put in front of an error once and keeps the rest") {
  const Error error = within(
      "start 'dev1'", Error{.code = Code::busy, .what = "it runs", .hint = "stop it", .problems = {{"/a", "b", ""}}});
  CHECK(error.what == "start 'dev1': it runs");
  CHECK(error.code == Code::busy);
  CHECK(error.hint == "stop it");
  CHECK(error.problems.size() == 1);
}

TEST_CASE("TRY gives the value, or leaves the function with the error") {
  CHECK(twice(21).value() == 42);
  const auto failed = twice(fail(Code::io, "disk"));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::io);
  CHECK(failed.error().what == "disk");
}

TEST_CASE("CHECKED goes on after success, and leaves the function with the error") {
  CHECK(pass_on({}).error().code == Code::exists);
  CHECK(pass_on(fail(Code::denied, "no")).error().code == Code::denied);
}

TEST_CASE("in one line an error says what, and the first of its problems with its place") {
  Error error{.code = Code::invalid, .what = "check the VM's spec"};
  CHECK(one_line(error) == "check the VM's spec");
  error.problems = {{"/cpus", "is 0", ""}};
  CHECK(one_line(error) == "check the VM's spec (/cpus: is 0)");
  error.problems.push_back({"/memory", "is small", ""});
  CHECK(one_line(error) == "check the VM's spec (/cpus: is 0, and 1 more)");
}
