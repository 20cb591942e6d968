#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/async.hpp"
#include "driver/instance.hpp"

namespace bulkhead::agent {

struct Inbox;

// The one thread on which driver calls run. A call that does not return by its deadline is a hang: run() answers
// without it, and every later call is `busy` until it returns. Used from the agent's thread.
class DriverThread {
 public:
  explicit DriverThread(asio::any_io_executor executor);
  DriverThread(const DriverThread&) = delete;
  DriverThread& operator=(const DriverThread&) = delete;

  using Work = std::function<Result<Json>(const std::shared_ptr<driver::OperationControl>&)>;
  // busy: a call runs. timed_out: this one did not return in time.
  Task<Result<Json>> run(std::string operation, Work work, Deadline deadline);

  // Tells the call that runs to give up.
  void cancel();
  // The call that runs.
  std::optional<std::string> running() const;

 private:
  struct Job;
  static void serve(const std::shared_ptr<Inbox>& inbox);

  asio::any_io_executor executor_;
  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<Job> current_;
};

}  // namespace bulkhead::agent
