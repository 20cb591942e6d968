#pragma once

#include <filesystem>

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

}  // namespace bulkhead::os
