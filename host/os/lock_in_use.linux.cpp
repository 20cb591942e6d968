#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "os/lock.hpp"

namespace bulkhead::os {

namespace fs = std::filesystem;

namespace {

// proc(5), fd: what is shown of a file that has been removed.
constexpr std::string_view removed_suffix = " (deleted)";

fs::path without_suffix(const std::string& target) {
  if (!target.ends_with(removed_suffix)) return target;
  return target.substr(0, target.size() - removed_suffix.size());
}

}  // namespace

std::optional<LockInUse> LockInUse::of(std::int64_t pid, const std::string& file_name) {
  std::error_code error;
  for (fs::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    fs::path path = without_suffix(fs::read_symlink(it->path(), ignored).string());
    if (path.filename() != file_name) continue;
    UniqueHandle handle(::open(it->path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info{};
    if (!handle || ::fstat(static_cast<int>(handle.get()), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    return LockInUse(std::move(handle), std::move(path));
  }
  return std::nullopt;
}

bool LockInUse::removed() const {
  struct stat info{};
  return ::fstat(static_cast<int>(handle_.get()), &info) == 0 && info.st_nlink == 0;
}

bool LockInUse::held() const {
  const int handle = static_cast<int>(handle_.get());
  if (::flock(handle, LOCK_EX | LOCK_NB) != 0) return true;
  ::flock(handle, LOCK_UN);
  return false;
}

}  // namespace bulkhead::os
