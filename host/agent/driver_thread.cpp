#include "agent/driver_thread.hpp"

#include <boost/asio/post.hpp>
#include <deque>
#include <utility>

namespace bulkhead::agent {

namespace {
// A driver that honours its deadline still needs a moment to return.
constexpr milliseconds return_slack{150};
}  // namespace

struct DriverThread::Job {
  std::string operation;
  Work work;
  std::shared_ptr<driver::OperationControl> control;
  std::optional<Result<Json>> result{};  // the agent's thread only
  Event changed{};
};

// Outlives the DriverThread: a hung call cannot be joined, it ends with the process.
struct Inbox {
  std::mutex mutex{};
  std::condition_variable changed{};
  std::deque<std::function<void()>> jobs{};
};

DriverThread::DriverThread(asio::any_io_executor executor)
    : executor_(std::move(executor)), inbox_(std::make_shared<Inbox>()) {
  std::thread([inbox = inbox_] { serve(inbox); }).detach();  // see Inbox
}

void DriverThread::serve(const std::shared_ptr<Inbox>& inbox) {
  for (;;) {
    std::unique_lock lock(inbox->mutex);
    inbox->changed.wait(lock, [&] { return !inbox->jobs.empty(); });
    const auto job = std::move(inbox->jobs.front());
    inbox->jobs.pop_front();
    lock.unlock();
    job();
  }
}

Task<Result<Json>> DriverThread::run(std::string operation, Work work, Deadline deadline) {
  if (current_) {
    co_return fail(Code::busy, "driver call '" + operation + "': '" + current_->operation + "' has not returned yet");
  }
  auto control = std::make_shared<driver::OperationControl>(deadline);
  auto job = std::make_shared<Job>(Job{.operation = std::move(operation), .work = std::move(work), .control = control});
  current_ = job;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->jobs.emplace_back([this, job, executor = executor_] {
      auto result = std::make_shared<Result<Json>>(job->work(job->control));
      asio::post(executor, [this, job, result] {
        job->result = std::move(*result);
        current_.reset();
        job->changed.notify();
      });
    });
  }
  inbox_->changed.notify_one();
  const Deadline limit = deadline + return_slack;
  while (!job->result && Clock::now() < limit) co_await job->changed.wait(limit);
  if (job->result) co_return std::move(*job->result);
  co_return fail(Code::timed_out, "driver call '" + job->operation + "': it did not return by its deadline");
}

void DriverThread::cancel() {
  if (current_) current_->control->cancel();
}

std::optional<std::string> DriverThread::running() const {
  if (!current_) return std::nullopt;
  return current_->operation;
}

}  // namespace bulkhead::agent
