#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bulkhead/driver.h"

#include "base/deadline.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "driver/services.hpp"

namespace bulkhead::driver {

enum class Operation { probe, open, validate, create, start, stop, force_stop, inspect, recover, cleanup, remove };
const char* name(Operation operation);

// How a running operation is told to give up. Any thread.
class OperationControl {
 public:
  explicit OperationControl(Deadline deadline) : deadline_(deadline) {}
  void cancel() { cancelled_ = true; }
  // Zero once cancelled or late.
  milliseconds remaining() const;

 private:
  Deadline deadline_;
  std::atomic<bool> cancelled_ = false;
};

// What identifies a VM to its driver.
struct Identification {
  std::string vm_id;
  std::string run_id;
  std::string vm_directory;
};

// One VM of a loaded driver: the host table given to it, and its operations as C++ calls. `call` is for one thread, the
// driver thread, and blocks as long as the driver does.
class Instance {
 public:
  Instance(const bulkhead_entry& entry, Identification identification, Services& services, LogLevel level);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  // The operation's reply. `probe` needs no open; all others need it done.
  Result<Json> call(Operation operation, const Json& arguments, std::shared_ptr<OperationControl> control);

 private:
  struct Current;
  struct Table;
  bulkhead_status dispatch(Operation operation, const bulkhead_op& op);

  const bulkhead_entry& entry_;
  Identification identification_;
  Services& services_;
  LogLevel level_;
  std::unique_ptr<bulkhead_host> table_;
  bulkhead_driver* driver_ = nullptr;

  // Written by [any] host functions while an operation runs.
  std::mutex mutex_;
  std::shared_ptr<OperationControl> control_;
  std::optional<Json> reply_;
  std::optional<Error> error_;
  std::uint64_t operation_id_ = 0;
};

}  // namespace bulkhead::driver
