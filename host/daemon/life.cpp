#include "daemon/life.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <utility>

namespace bulkhead::daemon {

namespace {

class Handled {
 public:
  explicit Handled(Activity& activity) : activity_(activity) { ++activity_.handled; }
  Handled(const Handled&) = delete;
  Handled& operator=(const Handled&) = delete;
  ~Handled() {
    --activity_.handled;
    activity_.idle.used(Clock::now());
  }

 private:
  Activity& activity_;
};

}  // namespace

Task<api::Response> answer(Resources* resources, Activity* activity, api::Request request) {
  auto handled = std::make_shared<Handled>(*activity);
  api::Response response = co_await resources->handle(std::move(request));
  if (response.stream) {
    response.stream = [handled, stream = std::move(response.stream)] { return stream(); };
  }
  co_return response;
}

Life::Life(asio::io_context& context, Daemon& daemon, const Resources& resources, api::Server& server,
           Activity& activity, const os::Service& service, const Surroundings& surroundings)
    : context_(context),
      daemon_(daemon),
      resources_(resources),
      server_(server),
      activity_(activity),
      service_(service),
      surroundings_(surroundings),
      end_signals_(context, SIGTERM, SIGINT),
      reload_signals_(context, SIGHUP) {}

void Life::begin() {
  surroundings_.scope.spawn("daemon", live());
  if (service_.alive_interval()) surroundings_.scope.spawn("watchdog", keep_watchdog_quiet());
}

void Life::tell(const Result<void>& told) const {
  if (!told) surroundings_.log.warning(told.error().what);
}

Task<void> Life::live() {
  co_await daemon_.open();
  co_await daemon_.look_for_orphans();
  activity_.idle.used(Clock::now());
  // Signals that came before now are not lost: they wait.
  surroundings_.scope.spawn("end signals", obey_end_signals());
  surroundings_.scope.spawn("reload signals", obey_reload_signals());
  surroundings_.scope.spawn("idle", end_when_idle());
  surroundings_.scope.spawn("server", server_.serve());
  surroundings_.log.info("ready");
  tell(service_.ready());
  // Whoever started us waits for this line.
  std::cout << "ready" << std::endl;
  daemon_.start_wanted();
  co_await daemon_.wait_for_end();
  tell(service_.stopping());
  server_.close();
  surroundings_.events.close();
  // The answer to the request that asked for it goes out first.
  co_await server_.drain(Clock::now() + milliseconds{500});
  surroundings_.log.info("end");
  context_.stop();
}

Task<void> Life::obey_end_signals() {
  auto token = asio::as_tuple(asio::use_awaitable);
  auto first = co_await end_signals_.async_wait(token);
  if (std::get<0>(first)) co_return;
  tell(service_.stopping());
  daemon_.ask_for_end(Daemon::Vms::stop);
  auto second = co_await end_signals_.async_wait(token);
  if (std::get<0>(second)) co_return;
  daemon_.ask_for_end(Daemon::Vms::keep);
}

Task<void> Life::obey_reload_signals() {
  auto token = asio::as_tuple(asio::use_awaitable);
  for (;;) {
    auto waited = co_await reload_signals_.async_wait(token);
    if (std::get<0>(waited)) co_return;
    const auto reloaded = surroundings_.reload();
    if (reloaded) continue;
    std::string told = reloaded.error().what;
    for (const Problem& problem : reloaded.error().problems) told += "; " + problem.pointer + ": " + problem.reason;
    surroundings_.log.error("reload: " + told);
  }
}

Task<void> Life::end_when_idle() {
  for (;;) {
    co_await pause_until(activity_.idle.next_look(Clock::now()));
    const bool busy = activity_.handled > 0 || resources_.operations_running() > 0 || daemon_.busy();
    if (activity_.idle.over(busy ? Idle::Seen::busy : Idle::Seen::nobody, Clock::now())) break;
  }
  surroundings_.log.info("no VM runs and nobody asks: ending");
  daemon_.ask_for_end(Daemon::Vms::keep);
}

// From the thread that does all the work: when it hangs, the manager is not told that all is well.
Task<void> Life::keep_watchdog_quiet() {
  for (;;) {
    tell(service_.alive());
    co_await pause_until(Clock::now() + *service_.alive_interval());
  }
}

}  // namespace bulkhead::daemon
