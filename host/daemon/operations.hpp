#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/async.hpp"
#include "base/json.hpp"

namespace bulkhead::daemon {

class Vm;

// Something that a client asked for, and that goes on whether he stays or not.
struct Operation {
  std::string id;
  std::string kind;  // "start", "stop", "restart", "remove"
  std::string vm;
  std::string started_at;
  Clock::time_point began;
  std::weak_ptr<const Vm> subject{};  // for the progress
  std::string ended_at{};
  Clock::time_point ended{};
  std::optional<Result<Json>> outcome{};
  Event changed{};
};

Json to_json(const Operation& operation);

// Those under way, and the last that ended.
class Operations {
 public:
  static constexpr std::size_t most_running = 1'000;
  static constexpr std::size_t most_ended = 200;

  explicit Operations(Scope& scope) : scope_(scope) {}

  bool full() const { return running_ >= most_running; }
  std::shared_ptr<Operation> begin(const std::string& kind, const std::shared_ptr<const Vm>& vm,
                                   Task<Result<Json>> work);
  std::shared_ptr<Operation> find(const std::string& id) const;
  // Of one VM, unless it is empty; the oldest first.
  Json list(const std::string& vm) const;
  // One under way of this kind.
  std::shared_ptr<Operation> running(const std::string& kind, const std::string& vm) const;
  std::size_t running() const { return running_; }

 private:
  static Task<void> perform(Operations* self, std::shared_ptr<Operation> operation, Task<Result<Json>> work);
  void forget_old();

  Scope& scope_;
  std::deque<std::shared_ptr<Operation>> operations_;
  std::size_t running_ = 0;
};

// Returns when it has ended, or at the deadline.
Task<void> wait_for(std::shared_ptr<Operation> operation, Deadline deadline);

}  // namespace bulkhead::daemon
