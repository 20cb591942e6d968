#include "base/result.hpp"

#include <array>

namespace bulkhead {

namespace {
struct Named {
  Code code;
  std::string_view name;
  int exit;
};
constexpr std::array codes{
    Named{Code::invalid, "invalid", 3},
    Named{Code::refused, "refused", 3},
    Named{Code::not_found, "not_found", 1},
    Named{Code::exists, "exists", 1},
    Named{Code::busy, "busy", 1},
    Named{Code::unsupported, "unsupported", 1},
    Named{Code::incompatible, "incompatible", 1},
    Named{Code::unavailable, "unavailable", 1},
    Named{Code::denied, "denied", 1},
    Named{Code::timed_out, "timed_out", 4},
    Named{Code::cancelled, "cancelled", 1},
    Named{Code::gone, "gone", 1},
    Named{Code::foreign, "foreign", 1},
    Named{Code::unknown, "unknown", 1},
    Named{Code::io, "io", 1},
    Named{Code::internal, "internal", 1},
};
}  // namespace

std::string_view name(Code code) {
  for (const Named& n : codes) {
    if (n.code == code) return n.name;
  }
  return "internal";
}

Code code_named(std::string_view name) {
  for (const Named& n : codes) {
    if (n.name == name) return n.code;
  }
  return Code::internal;
}

int exit_code(Code code) {
  for (const Named& n : codes) {
    if (n.code == code) return n.exit;
  }
  return 1;
}

std::unexpected<Error> fail(Code code, std::string what, std::string hint) {
  return std::unexpected(Error{.code = code, .what = std::move(what), .hint = std::move(hint)});
}

std::string one_line(const Error& error) {
  if (error.problems.empty()) return error.what;
  const Problem& first = error.problems.front();
  const std::size_t others = error.problems.size() - 1;
  return error.what + " (" + first.pointer + ": " + first.reason +
         (others == 0 ? "" : ", and " + std::to_string(others) + " more") + ")";
}

Error within(std::string_view context, Error error) {
  error.what.insert(0, ": ");
  error.what.insert(0, context);
  return error;
}

}  // namespace bulkhead
