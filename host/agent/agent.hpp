#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/children.hpp"
#include "agent/driver_thread.hpp"
#include "agent/journal.hpp"
#include "agent/shared_ledger.hpp"
#include "api/server.hpp"
#include "driver/instance.hpp"
#include "os/lock.hpp"
#include "store/store.hpp"

namespace bulkhead::agent {

// A driver that emits without end is cut off: at most 200 events in a second are taken. Any thread.
class EventRate {
 public:
  bool allow(Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (now - began_ >= std::chrono::seconds{1}) {
      began_ = now;
      taken_ = 0;
    }
    return ++taken_ <= 200;
  }

 private:
  std::mutex mutex_;
  Clock::time_point began_{};
  int taken_ = 0;
};

// One run of one VM: loads its driver, serves the daemon's requests, holds the VM's processes.
//
//   POST /v1/start    {timeout_ms}  load, open, validate and start; the driver's reply
//   POST /v1/recover  {timeout_ms}  the same for a VM that runs, in an agent that takes over from a dead one
//   POST /v1/ask      {timeout_ms}  the driver's graceful stop
//   POST /v1/force    {timeout_ms}  end every process of the run, whatever the driver thread is doing
//   POST /v1/prove    {timeout_ms}  who is left, and what the driver says
//   POST /v1/cleanup  {timeout_ms}  the driver's cleanup
//   POST /v1/exit                   answers, then ends this process
//   GET  /v1/run                    what this run is
//   GET  /v1/events?after=N&wait_ms=M
class Agent final : public driver::Services {
 public:
  // later: the run had an agent before this one. What that one started is not descended from us, whether or not the
  // daemon lived to have us take it over.
  enum class Came { first, later };
  Agent(asio::io_context& context, store::VmPaths paths, store::Beginning beginning, store::Ledger ledger,
        os::Listener listener, os::UniqueHandle run_lock, const std::filesystem::path& programs, Came came, Log log);

  // Serves until it is told to exit, or until nobody has wanted anything of it for a minute while nothing runs.
  void run();

  // driver::Services
  void log(LogLevel level, const std::string& message) override;
  void emit(const std::string& event, const Json& detail) override;
  void progress(unsigned permille, const std::string& phase) override;
  Result<std::uint64_t> spawn(const Json& spec) override;
  Result<Exit> child_wait(std::uint64_t child, milliseconds limit) override;
  Result<void> child_signal(std::uint64_t child, int signal) override;
  Result<std::string> artifact(const std::string& kind, const std::string& name, driver::Kept kept) override;
  Result<os::RawHandle> lock(const std::string& path, Sharing sharing) override;
  Result<void> save_state(const Json& state) override;

 private:
  Task<api::Response> handle(api::Request request);
  Task<Result<Json>> dispatch(api::Request request);
  Task<Result<Json>> start(Deadline deadline);
  Task<Result<Json>> recover(Deadline deadline);
  Task<Result<Json>> force(Deadline deadline);
  Task<Result<Json>> prove(Deadline deadline);
  Task<Result<Json>> call_driver(driver::Operation operation, Json arguments, Deadline deadline);
  Result<void> load_driver();
  Json describe() const;
  void note_exits();
  Task<void> watch_children();
  bool needed() const;
  Task<void> watch_adopted(std::uint64_t child);
  Task<void> watch_idleness();
  void exit_soon();
  Task<void> leave();

  asio::io_context& context_;
  store::VmPaths paths_;
  store::Beginning beginning_;
  Log log_;
  SharedLedger ledger_;
  Children children_;
  Journal journal_;
  Scope scope_;
  api::Server server_;
  DriverThread driver_thread_;
  asio::thread_pool pool_{2};
  asio::signal_set child_signals_;
  std::unique_ptr<driver::Instance> instance_;  // the driver thread's, once loaded
  std::vector<os::FileLock> locks_;             // the driver thread's
  EventRate emitted_;
  const bool took_over_;         // the VM's processes are not our descendants
  bool recovering_ = false;      // has been asked to recover
  std::size_t saved_bytes_ = 0;  // the driver thread's
  Clock::time_point last_request_ = Clock::now();
  bool exiting_ = false;
};

}  // namespace bulkhead::agent
