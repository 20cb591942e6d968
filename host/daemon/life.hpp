#pragma once

#include <boost/asio/signal_set.hpp>

#include "api/server.hpp"
#include "daemon/daemon.hpp"
#include "daemon/idle.hpp"
#include "daemon/resources.hpp"
#include "os/service.hpp"

namespace bulkhead::daemon {

// What requests there are. Outlives the io_context, whose coroutines count in it.
struct Activity {
  std::size_t handled = 0;  // at this moment
  Idle idle{Clock::now()};
};

// The API, asked while `activity` knows of it. A stream counts until it ends.
Task<api::Response> answer(Resources* resources, Activity* activity, api::Request request);

// The life of the daemon's program, from adoption to its end: what it tells the service manager, what the signals mean
// and when it ends because nobody needs it. SIGTERM and SIGINT stop all VMs and then the daemon, a second one ends it
// at once and leaves the VMs; SIGHUP reads host.json again, and never ends anything.
class Life {
 public:
  Life(asio::io_context& context, Daemon& daemon, const Resources& resources, api::Server& server, Activity& activity,
       const os::Service& service, const Surroundings& surroundings);
  // All of it, until the context stops.
  void begin();

 private:
  Task<void> live();
  Task<void> obey_end_signals();
  Task<void> obey_reload_signals();
  Task<void> end_when_idle();
  Task<void> keep_watchdog_quiet();
  void tell(const Result<void>& told) const;

  asio::io_context& context_;
  Daemon& daemon_;
  const Resources& resources_;
  api::Server& server_;
  Activity& activity_;
  const os::Service& service_;
  const Surroundings& surroundings_;
  asio::signal_set end_signals_;
  asio::signal_set reload_signals_;
};

}  // namespace bulkhead::daemon
