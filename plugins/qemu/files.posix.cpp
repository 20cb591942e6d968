#include "qemu/files.posix.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "qemu/fd.posix.hpp"

namespace bulkhead::qemu {
namespace {

bool is_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool is_program(const std::string& path) { return is_file(path) && ::access(path.c_str(), X_OK) == 0; }

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? std::optional(name) : std::nullopt;
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): the agent does not change its environment
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    // A relative entry would make the program depend on the working directory.
    if (candidate.front() == '/' && end > 0 && is_program(candidate)) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

std::optional<std::string> access_problem(const std::string& path, DiskAccess wanted) {
  const int flags = wanted == DiskAccess::read_only ? O_RDONLY : O_RDWR;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return std::generic_category().message(errno);
  if (S_ISDIR(info.st_mode)) return "is a directory";
  if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) return "is not a file";
  const Fd fd{::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!fd) return std::generic_category().message(errno);
  return std::nullopt;
}

std::int64_t modified_ns(const std::string& path) {
  std::error_code error;
  const auto when = std::filesystem::last_write_time(path, error);
  return error ? 0 : std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

std::uint64_t size_of(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && info.st_size > 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string read_tail(const std::string& path, std::uint64_t from, std::size_t limit) {
  const std::uint64_t size = size_of(path);
  std::uint64_t at = from <= size ? from : 0;
  if (size - at > limit) at = size - limit;
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  std::string out;
  std::array<char, 4096> buffer{};
  while (fd && out.size() < limit) {
    const std::size_t want = std::min(buffer.size(), limit - out.size());
    const ssize_t n = ::pread(fd.get(), buffer.data(), want, static_cast<off_t>(at + out.size()));
    if (n <= 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return out;
}

bool replace_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  {
    const Fd fd{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd || !write_all(fd.get(), text) || ::fsync(fd.get()) != 0) return false;
  }
  return ::rename(fresh.c_str(), path.c_str()) == 0;
}

void remove_file(const std::string& path) { ::unlink(path.c_str()); }

}  // namespace bulkhead::qemu
