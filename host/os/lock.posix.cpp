#include "os/lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "os/last_error.hpp"

namespace bulkhead::os {

Result<FileLock> FileLock::acquire(const std::filesystem::path& path, Mode mode, If when) {
  // A disk image may be a link of the user's choice; our own lock files may not.
  const int flags = when == If::create ? O_RDWR | O_CREAT | O_NOFOLLOW : O_RDONLY;
  UniqueHandle handle(::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!handle) return last_error("open '" + path.string() + "'");
  // flock(2), not fcntl(2): it belongs to the open file, so children that inherit the handle hold it too, and QEMU's
  // own byte-range locks on the same image do not meet it.
  if (::flock(static_cast<int>(handle.get()), (mode == Mode::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(Code::busy, "lock '" + path.string() + "': held by another process");
    return last_error("lock '" + path.string() + "'");
  }
  return FileLock{std::move(handle)};
}

}  // namespace bulkhead::os
