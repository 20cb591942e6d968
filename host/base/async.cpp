#include "base/async.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace bulkhead {

struct Event::Waiter {
  Waiter(std::shared_ptr<Waiters> list, asio::steady_timer& timer) : list_(std::move(list)), timer_(timer) {
    list_->push_back(this);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { std::erase(*list_, this); }
  void wake() { timer_.cancel(); }

 private:
  std::shared_ptr<Waiters> list_;
  asio::steady_timer& timer_;
};

void Event::notify() {
  for (Waiter* waiter : *waiters_) waiter->wake();
}

Task<void> Event::wait(Deadline deadline) {
  auto list = waiters_;
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  Waiter waiter(std::move(list), timer);
  auto token = asio::as_tuple(asio::use_awaitable);
  co_await timer.async_wait(token);
}

Task<void> pause_until(Deadline deadline) {
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  auto token = asio::as_tuple(asio::use_awaitable);
  co_await timer.async_wait(token);
}

Scope::Scope(asio::any_io_executor executor, Log log)
    : executor_(std::move(executor)), state_(std::make_shared<State>(State{.log = std::move(log)})) {}

void Scope::spawn(std::string name, Task<void> task) {
  ++state_->running;
  asio::co_spawn(executor_, std::move(task),
                 [state = state_, name = std::move(name)](const std::exception_ptr& failure) {
                   --state->running;
                   state->changed.notify();
                   if (!failure) return;
                   try {
                     std::rethrow_exception(failure);
                   } catch (const std::exception& e) {
                     state->log.error("task '" + name + "' ended with an exception, which is a bug: " + e.what());
                   } catch (...) {
                     state->log.error("task '" + name + "' ended with an unknown exception, which is a bug");
                   }
                 });
}

Task<bool> Scope::join(Deadline deadline) {
  auto state = state_;
  while (state->running > 0 && Clock::now() < deadline) co_await state->changed.wait(deadline);
  co_return state->running == 0;
}

Task<void> on_thread_untyped(asio::thread_pool::executor_type pool, std::function<void()> work) {
  auto home = co_await asio::this_coro::executor;
  auto done = std::make_shared<bool>(false);
  auto changed = std::make_shared<Event>();
  asio::post(pool, [home, done, changed, work = std::move(work)]() {
    work();
    asio::post(home, [done, changed]() {
      *done = true;
      changed->notify();
    });
  });
  while (!*done) co_await changed->wait(Deadline::max());
}

}  // namespace bulkhead
