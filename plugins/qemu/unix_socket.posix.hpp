// Local stream sockets. Failures are thrown as bulkhead::Status.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "qemu/fd.posix.hpp"

namespace bulkhead::qemu {

// Binds and listens. What is at `path` is removed first: the path must be the caller's own (an artifact).
Fd listen_at(const std::string& path);

// A connected stream.
class Connection {
 public:
  // Never blocks: a listener whose queue is full is an error.
  explicit Connection(const std::string& path);

  // Bytes received; 0 at the end of the stream or after shut_down. Blocks; one thread only.
  std::size_t receive(char* buffer, std::size_t capacity) const;
  // How much of `bytes` was taken without blocking; nothing taken at all is 0. False: the stream is broken.
  bool send_some(std::string_view& bytes) const;
  // Waits until send_some may take something.
  void wait_writable(std::chrono::milliseconds limit) const;
  // Any thread. Wakes a blocked receive.
  void shut_down() const noexcept;

 private:
  Fd fd_;
};

}  // namespace bulkhead::qemu
