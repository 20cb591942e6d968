#pragma once

#include <cstdint>
#include <string>

#include "base/deadline.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::driver {

enum class Kept : bool { while_running, with_vm };

// What the agent does for its driver: the C++ side of bulkhead_host. Functions marked [any] are called from any thread,
// the others from the driver thread.
class Services {
 public:
  struct Exit {
    int code = -1;
    int signal = 0;
  };
  virtual ~Services() = default;
  virtual void log(LogLevel level, const std::string& message) = 0;        // [any]
  virtual void emit(const std::string& event, const Json& detail) = 0;     // [any]
  virtual void progress(unsigned permille, const std::string& phase) = 0;  // [any]
  virtual Result<std::uint64_t> spawn(const Json& spec) = 0;
  virtual Result<Exit> child_wait(std::uint64_t child, milliseconds limit) = 0;  // [any] timed_out: it runs
  virtual Result<void> child_signal(std::uint64_t child, int signal) = 0;        // [any]
  virtual Result<std::string> artifact(const std::string& kind, const std::string& name, Kept kept) = 0;
  enum class Sharing { exclusive, shared };
  virtual Result<os::RawHandle> lock(const std::string& path, Sharing sharing) = 0;
  virtual Result<void> save_state(const Json& state) = 0;
};

}  // namespace bulkhead::driver
