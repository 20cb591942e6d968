#include "os/process.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "os/last_error.hpp"
#include "os/process_table.hpp"

namespace bulkhead::os {

namespace {

// glibc 2.36 has these, older ones do not: the numbers are the same on every architecture.
int pidfd_open(std::int64_t pid) {
  if (!std::in_range<pid_t>(pid)) {
    errno = ESRCH;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0U));
}
int pidfd_send_signal(int handle, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0U));
}

std::string named(std::int64_t pid) { return "process " + std::to_string(pid); }

// Before Linux 6.9 all pidfds share one inode of another file system.
std::uint64_t serial_of(RawHandle pidfd) {
  constexpr auto pidfs_magic = 0x50494446;
  struct statfs filesystem{};
  struct stat info{};
  const int fd = static_cast<int>(pidfd);
  if (::fstatfs(fd, &filesystem) != 0 || filesystem.f_type != pidfs_magic || ::fstat(fd, &info) != 0) return 0;
  return info.st_ino;
}

}  // namespace

Result<Process> Process::open_pid(std::int64_t pid) {
  if (pid <= 1) return fail(Code::invalid, named(pid) + ": not a pid that bulkhead may signal");
  UniqueHandle handle(pidfd_open(pid));
  if (!handle) return last_error("open " + named(pid));
  auto info = process_info(pid);
  Process process(std::move(handle), info ? info->identity : Identity{.pid = pid});
  process.identity_.serial = serial_of(process.handle_.get());
  // While the process behind the handle lives, its number cannot be anybody else's: only then was `info` about it.
  if (process.exited()) return fail(Code::gone, named(pid) + ": has exited");
  if (info) return process;
  if (info.error().code != Code::gone) return std::unexpected(info.error());
  return fail(Code::denied, named(pid) + ": is there, but /proc does not show it to this user");
}

Result<Process> Process::open(const Identity& identity) {
  if (identity.pid <= 1) return fail(Code::invalid, named(identity.pid) + ": not a pid that bulkhead may signal");
  TRY(const std::string boot, boot_id());
  if (identity.boot_id != boot) return fail(Code::gone, named(identity.pid) + ": was of another boot");
  auto process = open_pid(identity.pid);
  if (!process) {
    if (process.error().code == Code::not_found) return fail(Code::gone, named(identity.pid) + ": has exited");
    if (process.error().code == Code::denied && identity.serial != 0) return open_hidden(identity);
    return process;
  }
  if (process->identity() != identity)
    return fail(Code::gone, named(identity.pid) + ": has exited, its pid is used again");
  return process;
}

// One that /proc does not show to this user (proc(5), hidepid=): its serial alone tells who it is.
Result<Process> Process::open_hidden(const Identity& identity) {
  UniqueHandle handle(pidfd_open(identity.pid));
  if (!handle && errno == ESRCH) return fail(Code::gone, named(identity.pid) + ": has exited");
  if (!handle) return last_error("open " + named(identity.pid));
  const bool same = serial_of(handle.get()) == identity.serial;
  Process process(std::move(handle), identity);
  if (!same || process.exited()) return fail(Code::gone, named(identity.pid) + ": has exited");
  return process;
}

bool Process::holds_pid(const Identity& identity) {
  const auto boot = boot_id();
  if (identity.pid <= 1 || !boot || identity.boot_id != *boot) return false;
  const UniqueHandle handle(pidfd_open(identity.pid));
  if (!handle) return false;
  auto info = process_info(identity.pid);
  if (!info) return false;
  info->identity.serial = serial_of(handle.get());
  return info->identity == identity;
}

Result<Identity> Process::self() {
  TRY(const Process process, open_pid(::getpid()));
  return process.identity();
}

bool Process::exited() const { return wait(Clock::now()); }

bool Process::wait(Deadline deadline) const {
  for (;;) {
    pollfd poll_fd{.fd = static_cast<int>(handle_.get()), .events = POLLIN, .revents = 0};
    const auto left = remaining(deadline, Clock::now()).count();
    const int got = ::poll(&poll_fd, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (got > 0) return true;
    if (got == 0 && left <= 60'000) return false;
    if (got < 0 && errno != EINTR) return false;
  }
}

Result<void> Process::signal(Signal signal) const {
  if (pidfd_send_signal(static_cast<int>(handle_.get()), static_cast<int>(signal)) != 0) {
    return last_error("signal " + named(identity_.pid));
  }
  return {};
}

Task<Result<void>> Process::exit(asio::any_io_executor executor) const {
  const int copy = ::fcntl(static_cast<int>(handle_.get()), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) co_return last_error("watch " + named(identity_.pid));
  asio::posix::stream_descriptor descriptor(executor, copy);
  auto token = asio::as_tuple(asio::use_awaitable);
  // Asio may say "ready" for an event that was another descriptor's: only the process itself is asked.
  while (!exited()) {
    auto waited = co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, token);
    if (const auto& error = std::get<0>(waited)) co_return system_error(error.value(), "watch a process");
  }
  co_return Result<void>{};
}

std::vector<Reaped> reap_exited() {
  std::vector<Reaped> all;
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
    if (pid <= 0) return all;
    Reaped one{.pid = pid};
    if (WIFEXITED(status)) {
      one.code = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
      one.signal = WTERMSIG(status);
    } else {
      continue;
    }
    all.push_back(one);
  }
}

Children children() {
  siginfo_t info{};
  const int got = ::waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL);
  return got != 0 && errno == ECHILD ? Children::none : Children::some;
}

void print_into(std::FILE* file) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(::fileno(file), stream);
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<void> become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0) return last_error("become a subreaper");
  return {};
}

}  // namespace bulkhead::os
