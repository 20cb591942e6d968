#include "os/pipe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "os/last_error.hpp"

namespace bulkhead::os {

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return last_error("create a pipe");
  return Pipe{UniqueHandle(ends[0]), UniqueHandle(ends[1])};
}

Result<std::optional<std::string>> read_line(const UniqueHandle& handle, Deadline deadline) {
  std::string line;
  for (;;) {
    pollfd poll_fd{.fd = static_cast<int>(handle.get()), .events = POLLIN, .revents = 0};
    const auto left = std::min<std::int64_t>(remaining(deadline, Clock::now()).count(), 60'000);
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return last_error("wait for a line");
    if (ready <= 0) {
      if (Clock::now() >= deadline) return fail(Code::timed_out, "wait for a line: nothing came in time");
      continue;
    }
    char c = 0;
    const ssize_t got = ::read(static_cast<int>(handle.get()), &c, 1);
    if (got < 0 && errno != EINTR) return last_error("read a line");
    if (got == 0) return line.empty() ? std::nullopt : std::optional(line);
    if (got != 1) continue;
    if (c == '\n') return line;
    line += c;
  }
}

}  // namespace bulkhead::os
