#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead {

// One vocabulary from driver status to API error to exit code. Callers branch on the code, never on text.
enum class Code {
  invalid,  // refused by validation: the input is wrong
  refused,  // refused by policy or trust
  not_found,
  exists,
  busy,
  unsupported,
  incompatible,  // a version that this program does not speak
  unavailable,   // not now: nobody answers, or a resource is missing
  denied,        // the operating system says no
  timed_out,
  cancelled,
  gone,     // proved absent
  foreign,  // something is there, but it is not provably ours
  unknown,  // cannot tell
  io,
  internal,  // a bug
};

// "not_found" and so on: the name used in the API and in logs.
std::string_view name(Code code);
// internal when the name is unknown.
Code code_named(std::string_view name);
// 0 ok, 1 error, 2 usage, 3 refused by validation or policy, 4 timed out.
int exit_code(Code code);

// One thing wrong with an input document.
struct Problem {
  std::string pointer;  // JSON pointer; "" is the whole document
  std::string reason;
  std::string hint;  // one thing to try; may be empty
};

// what: "verb 'object': cause", lower case, no full stop. hint: one thing to try, shown by the CLI.
struct Error {
  Code code = Code::internal;
  std::string what;
  std::string hint{};
  std::vector<Problem> problems{};
};

template <class T>
using Result = std::expected<T, Error>;

std::unexpected<Error> fail(Code code, std::string what, std::string hint = {});

// For where only one line can be shown: what, and the first problem with its place.
std::string one_line(const Error& error);

// Adds one level of context: within("start 'dev1'", e) is "start 'dev1': <e>".
Error within(std::string_view context, Error error);

}  // namespace bulkhead

#define BULKHEAD_CAT2(a, b) a##b
#define BULKHEAD_CAT(a, b) BULKHEAD_CAT2(a, b)
#define BULKHEAD_TRY_IMPL(tmp, ret, decl, ...)           \
  auto tmp = (__VA_ARGS__);                              \
  if (!tmp) ret std::unexpected(std::move(tmp).error()); \
  decl = *std::move(tmp)
// TRY(auto file, open(path)); returns the error from the enclosing function, else declares `file`.
#define TRY(decl, ...) BULKHEAD_TRY_IMPL(BULKHEAD_CAT(try_, __LINE__), return, decl, __VA_ARGS__)
#define CO_TRY(decl, ...) BULKHEAD_TRY_IMPL(BULKHEAD_CAT(try_, __LINE__), co_return, decl, __VA_ARGS__)
#define BULKHEAD_CHECK_IMPL(tmp, ret, ...) \
  if (auto tmp = (__VA_ARGS__); !tmp) ret std::unexpected(std::move(tmp).error())
// CHECKED(write(file)); for a Result<void>.
#define CHECKED(...) BULKHEAD_CHECK_IMPL(BULKHEAD_CAT(checked_, __LINE__), return, __VA_ARGS__)
#define CO_CHECKED(...) BULKHEAD_CHECK_IMPL(BULKHEAD_CAT(checked_, __LINE__), co_return, __VA_ARGS__)
