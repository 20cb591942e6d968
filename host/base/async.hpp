#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "base/log.hpp"

// What the programs need beyond Asio: one thread runs the io_context, coroutines wait for events with a deadline,
// nothing is detached. All of it belongs to the io_context's thread unless a comment says otherwise.
namespace bulkhead {

namespace asio = boost::asio;
template <class T>
using Task = asio::awaitable<T, asio::any_io_executor>;

// Something changed: look again. Waiters check their own condition before and after.
class Event {
 public:
  Event() : waiters_(std::make_shared<Waiters>()) {}
  void notify();
  // Returns at a notify or at the deadline, whichever is first.
  Task<void> wait(Deadline deadline);

 private:
  struct Waiter;
  using Waiters = std::vector<Waiter*>;
  std::shared_ptr<Waiters> waiters_;
};

// Owns coroutines: names them, logs what escapes from them, and can be waited for.
class Scope {
 public:
  Scope(asio::any_io_executor executor, Log log);
  void spawn(std::string name, Task<void> task);
  // True: everything has ended before the deadline.
  Task<bool> join(Deadline deadline);

 private:
  struct State {
    Log log;
    std::size_t running = 0;
    Event changed;
  };
  asio::any_io_executor executor_;
  std::shared_ptr<State> state_;
};

Task<void> pause_until(Deadline deadline);

// Runs blocking work on the pool and comes back to this coroutine's executor. The work bounds itself: it cannot be
// cancelled.
Task<void> on_thread_untyped(asio::thread_pool::executor_type pool, std::function<void()> work);

template <class F>
auto on_thread(asio::thread_pool::executor_type pool, F work) -> Task<std::invoke_result_t<F>> {
  using T = std::invoke_result_t<F>;
  auto result = std::make_shared<std::optional<T>>();
  std::function<void()> job = [result, work = std::move(work)]() mutable { result->emplace(work()); };
  co_await on_thread_untyped(pool, std::move(job));
  co_return std::move(**result);
}

}  // namespace bulkhead
