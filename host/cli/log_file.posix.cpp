#include "cli/log_file.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "base/deadline.hpp"
#include "os/file.hpp"
#include "os/handle.hpp"
#include "os/last_error.hpp"

namespace bulkhead::cli {

namespace {

constexpr std::size_t shown_bytes = 1U << 20;
constexpr milliseconds look_again{200};
constexpr int looks_until_asked = 5;

int raw(const os::UniqueHandle& handle) { return static_cast<int>(handle.get()); }

Result<os::UniqueHandle> open_log(const std::filesystem::path& file) {
  os::UniqueHandle handle(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!handle) return os::last_error("open '" + file.string() + "'");
  struct stat status{};
  if (::fstat(raw(handle), &status) != 0) return os::last_error("look at '" + file.string() + "'");
  if (!S_ISREG(status.st_mode)) return fail(Code::foreign, "read '" + file.string() + "': not a regular file");
  return handle;
}

// Everything from the current place to the end. False: `give` wants no more.
Result<bool> drain(const os::UniqueHandle& handle, const std::function<bool(std::string_view)>& give) {
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t got = ::read(raw(handle), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os::last_error("read a log");
    if (got == 0) return true;
    if (!give(std::string_view(buffer.data(), static_cast<std::size_t>(got)))) return false;
  }
}

bool replaced(const os::UniqueHandle& handle, const std::filesystem::path& file) {
  struct stat open_one{};
  struct stat named{};
  if (::fstat(raw(handle), &open_one) != 0 || ::lstat(file.c_str(), &named) != 0) return false;
  return S_ISREG(named.st_mode) && (open_one.st_ino != named.st_ino || open_one.st_dev != named.st_dev);
}

bool cut_short(const os::UniqueHandle& handle) {
  struct stat status{};
  return ::fstat(raw(handle), &status) == 0 && ::lseek(raw(handle), 0, SEEK_CUR) > status.st_size;
}

}  // namespace

std::string_view last_lines(std::string_view text, std::size_t lines) {
  if (lines == 0) return {};
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  for (; lines > 0 && at > 0; --lines) {
    const auto newline = text.rfind('\n', at - 1);
    if (newline == std::string_view::npos) return text;
    at = newline;
  }
  return text.substr(at == 0 ? 0 : at + 1);
}

Result<std::string> log_tail(const std::filesystem::path& file, std::optional<std::size_t> lines) {
  TRY(std::string text, os::read_tail(file, shown_bytes));
  return lines ? std::string(last_lines(text, *lines)) : text;
}

Result<void> follow_log(const std::filesystem::path& file, std::optional<std::size_t> lines,
                        const std::function<bool(std::string_view)>& give, const std::function<bool()>& goes_on) {
  TRY(os::UniqueHandle handle, open_log(file));
  const off_t size = ::lseek(raw(handle), 0, SEEK_END);
  ::lseek(raw(handle), size > static_cast<off_t>(shown_bytes) ? size - static_cast<off_t>(shown_bytes) : 0, SEEK_SET);
  std::string begin;
  TRY(const bool whole, drain(handle, [&begin](std::string_view text) {
        begin += text;
        return begin.size() < 2 * shown_bytes;
      }));
  if (!whole) ::lseek(raw(handle), 0, SEEK_END);
  if (!give(lines ? last_lines(begin, *lines) : std::string_view(begin))) return {};
  for (int looks = 1;; ++looks) {
    TRY(const bool more, drain(handle, give));
    if (!more) return {};
    if (replaced(handle, file)) {
      // What was written between the last look and the replacement comes first.
      TRY(const bool rest, drain(handle, give));
      auto next = open_log(file);
      if (!rest || !next) return {};
      handle = *std::move(next);
      continue;
    }
    if (cut_short(handle)) ::lseek(raw(handle), 0, SEEK_SET);
    if (looks % looks_until_asked == 0 && !goes_on()) return {};
    std::this_thread::sleep_for(look_again);
  }
}

}  // namespace bulkhead::cli
