#pragma once

#include <cstdint>
#include <utility>

namespace bulkhead::os {

// A file descriptor (POSIX) or a HANDLE (Windows) as it is written down: in a driver's "inherit" list, on a command
// line.
using RawHandle = std::intptr_t;
inline constexpr RawHandle no_handle = -1;

// Owns one handle; closes it, and never waits or kills.
class UniqueHandle {
 public:
  UniqueHandle() noexcept = default;
  explicit UniqueHandle(RawHandle raw) noexcept : raw_(raw) {}
  UniqueHandle(UniqueHandle&& other) noexcept : raw_(other.release()) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    UniqueHandle old(std::exchange(raw_, other.release()));
    return *this;
  }
  ~UniqueHandle();
  explicit operator bool() const noexcept { return raw_ != no_handle; }
  RawHandle get() const noexcept { return raw_; }
  RawHandle release() noexcept { return std::exchange(raw_, no_handle); }

 private:
  RawHandle raw_ = no_handle;
};

}  // namespace bulkhead::os
