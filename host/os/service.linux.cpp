#include "os/service.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "os/last_error.hpp"
#include "os/paths.hpp"

namespace bulkhead::os {

namespace {

constexpr int first_passed = 3;  // SD_LISTEN_FDS_START
constexpr int most_passed = 64;
// For a manager that does not read at this moment, when what it is told is not said again. Below a second.
constexpr milliseconds patience{500};

std::optional<std::string> take(const char* name) {
  auto value = environment(name);
  ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): there is one thread
  return value;
}

std::optional<std::int64_t> number(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

Result<std::string> bound_path(int fd, const std::string& what) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  // sockaddr_un is used as the sockets API has it.
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return last_error(what);
  const std::size_t length = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
  std::string path(address.sun_path, length);
  if (path.empty() || path[0] == '\0') return fail(Code::invalid, what + ": it is bound to no path");
  path.resize(std::strlen(path.c_str()));
  return path;
}

Result<void> check_listener(int fd, const std::filesystem::path& path) {
  const std::string what = "use the socket that the service manager passed";
  const auto option = [fd](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  struct stat info{};
  if (::fstat(fd, &info) != 0) return last_error(what);
  if (!S_ISSOCK(info.st_mode)) return fail(Code::invalid, what + ": it is no socket");
  if (option(SO_DOMAIN) != AF_UNIX || option(SO_TYPE) != SOCK_STREAM) {
    return fail(Code::invalid, what + ": it is no local stream socket");
  }
  if (option(SO_ACCEPTCONN) != 1) return fail(Code::invalid, what + ": it does not listen");
  TRY(const std::string bound, bound_path(fd, what));
  if (std::filesystem::path(bound).lexically_normal() == path.lexically_normal()) return {};
  return fail(Code::invalid, what + ": it listens at '" + bound + "', and clients look for '" + path.string() + "'",
              "set ListenStream=" + path.string());
}

}  // namespace

Service Service::from_environment() {
  Service service;
  service.notify_ = take("NOTIFY_SOCKET").value_or("");

  const auto interval_us = number(take("WATCHDOG_USEC"));
  const auto watched = take("WATCHDOG_PID");
  const bool ours = !watched || number(watched) == ::getpid();
  if (interval_us && *interval_us > 0 && ours) {
    service.alive_interval_ = std::max(milliseconds{1}, milliseconds{*interval_us / 2000});
  }

  const auto receiver = number(take("LISTEN_PID"));
  const auto sockets = number(take("LISTEN_FDS"));
  static_cast<void>(take("LISTEN_FDNAMES"));
  if (receiver == ::getpid() && sockets && *sockets > 0 && *sockets <= most_passed) {
    service.announced_ = static_cast<std::size_t>(*sockets);
    // A number that is not open would soon be a file of ours.
    for (int fd = first_passed; fd < first_passed + *sockets; ++fd) {
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) service.passed_.emplace_back(fd);
    }
  }
  service.managed_ = !service.notify_.empty() || service.announced_ > 0;
  return service;
}

Result<void> Service::tell(std::string_view state, milliseconds limit) const {
  if (notify_.empty()) return {};
  const std::string what = "tell the service manager at '" + notify_ + "'";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((notify_[0] != '/' && notify_[0] != '@') || notify_.size() >= sizeof address.sun_path) {
    return fail(Code::unsupported, what + ": not the address of a local socket");
  }
  std::memcpy(address.sun_path, notify_.data(), notify_.size());
  if (notify_[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notify_.size());
  const UniqueHandle socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return last_error(what);
  const int fd = static_cast<int>(socket.get());
  const timeval time{.tv_sec = 0, .tv_usec = limit.count() * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  const int flags = MSG_NOSIGNAL | (limit > milliseconds{0} ? 0 : MSG_DONTWAIT);
  const auto sent = ::sendto(fd, state.data(), state.size(), flags, reinterpret_cast<const sockaddr*>(&address), size);
  if (sent < 0) return last_error(what);
  return {};
}

Result<void> Service::ready() const { return tell("READY=1", patience); }
Result<void> Service::stopping() const { return tell("STOPPING=1", patience); }
Result<void> Service::alive() const { return tell("WATCHDOG=1", milliseconds{0}); }

Result<void> Service::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  return tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds), patience);
}

// A line break would begin another message.
Result<void> Service::status(std::string_view text) const {
  std::string line = "STATUS=" + std::string(text);
  std::ranges::replace(line, '\n', ' ');
  return tell(line, milliseconds{0});
}

Result<UniqueHandle> Service::take_listener(const std::filesystem::path& path) {
  std::vector<UniqueHandle> passed = std::exchange(passed_, {});
  const std::size_t announced = std::exchange(announced_, 0);
  if (announced == 0) return UniqueHandle{};
  if (announced != 1 || passed.size() != 1) {
    return fail(Code::invalid, "use the sockets that the service manager passed: expected 1, got " +
                                   std::to_string(announced) + ", of which " + std::to_string(passed.size()) +
                                   " are open");
  }
  CHECKED(check_listener(static_cast<int>(passed[0].get()), path));
  return std::move(passed[0]);
}

}  // namespace bulkhead::os
