#include "base/failpoint.hpp"

#if defined(BULKHEAD_FAILPOINTS)

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace bulkhead {

namespace {

struct Armed {
  std::string name{};
  long passage = 0;  // 0: not armed
  std::string mark{};
};

// Set once, by main, before there are threads.
Armed& armed() {
  static Armed instance;
  return instance;
}

}  // namespace

void failpoint_program(std::string_view program) {
  const char* const text = std::getenv(failpoint_variable);  // NOLINT(concurrency-mt-unsafe): before there are threads
  if (text == nullptr) return;
  const std::string wanted = text;
  const auto first = wanted.find('/');
  const auto last = wanted.rfind('/');
  if (first == std::string::npos || first == last || wanted.substr(0, first) != program) return;
  armed() = {.name = wanted.substr(first + 1, last - first - 1),
             .passage = std::strtol(wanted.c_str() + last + 1, nullptr, 10)};
  const char* const mark = std::getenv(failpoint_mark_variable);  // NOLINT(concurrency-mt-unsafe): as above
  if (mark != nullptr) armed().mark = mark;
}

void failpoint(std::string_view name) {
  static std::atomic<long> passages = 0;
  if (armed().passage == 0 || armed().name != name) return;
  if (++passages != armed().passage) return;
  if (std::FILE* const mark = std::fopen(armed().mark.c_str(), "w")) std::fclose(mark);
  ::raise(SIGKILL);
}

}  // namespace bulkhead

#endif
