#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

// A kernel lock on a file. It lives exactly as long as any copy of its handle, in this process or in one that inherited
// it, and the kernel releases it at the last holder's death.
class FileLock {
 public:
  enum class Mode { exclusive, shared };
  enum class If { must_exist, create };
  // busy: somebody holds it. Never waits.
  static Result<FileLock> acquire(const std::filesystem::path& path, Mode mode, If when);
  RawHandle handle() const { return handle_.get(); }
  UniqueHandle release() { return std::move(handle_); }

 private:
  explicit FileLock(UniqueHandle handle) : handle_(std::move(handle)) {}
  UniqueHandle handle_;
};

// A lock file that a process has open, whatever has become of its path. It can be asked after that process has ended.
class LockInUse {
 public:
  // The one of that file name. Nothing: the process has none open, has ended, or belongs to another user.
  static std::optional<LockInUse> of(std::int64_t pid, const std::string& file_name);
  // Where it is, or was when it was removed.
  const std::filesystem::path& path() const { return path_; }
  // No folder has it any more.
  bool removed() const;
  // Somebody holds the lock.
  bool held() const;

 private:
  LockInUse(UniqueHandle handle, std::filesystem::path path) : handle_(std::move(handle)), path_(std::move(path)) {}
  UniqueHandle handle_;
  std::filesystem::path path_;
};

}  // namespace bulkhead::os
