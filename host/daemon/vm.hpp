#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/keeper.hpp"
#include "daemon/report.hpp"
#include "daemon/run.hpp"
#include "daemon/surroundings.hpp"
#include "stop/climber.hpp"
#include "store/store.hpp"

namespace bulkhead::daemon {

enum class State { stopped, starting, running, stopping, stuck, failed, lost };
std::string_view name(State state);

struct StopRequest {
  enum class How { gracefully, forced };
  How how = How::gracefully;
  std::optional<milliseconds> grace{};  // instead of the spec's or the driver's
  // client: it is wanted stopped from now on. host: what is wanted stays as it is.
  enum class By { client, host };
  By by = By::client;
};

// What a VM is busy with.
struct Progress {
  std::string phase;  // "start", or the rung that is climbed
  Clock::time_point since;
  std::optional<Deadline> until{};
};

// One VM: what is done to it, one thing at a time, except that force overtakes everything. For the daemon's thread; a
// coroutine of it holds it by shared_ptr.
class Vm : public std::enable_shared_from_this<Vm> {
 public:
  // may_start: why it may not be started now, as far as only the whole host knows.
  using MayStart = std::function<Result<void>(const Vm&)>;
  Vm(const Surroundings& surroundings, store::VmRecord record, MayStart may_start);

  // After the daemon's start: what the ledger says of an earlier run is adopted, or finished, or shown as lost.
  Task<void> recover();
  // After that: starts it when it is wanted to run and does not.
  Task<void> start_if_wanted(std::string boot_id);
  // The host ends: nothing is started again by this daemon.
  void hold();

  // busy: it runs. On any failure everything that the start made is ended and cleaned first. The reply is info().
  Task<Result<Json>> start(Deadline deadline);
  // The report. A stop goes on when its caller goes away. busy: it is lost.
  Task<Result<Json>> stop(StopRequest request);
  // Stopped as asked, then started.
  Task<Result<Json>> restart(StopRequest request, milliseconds start_time);

  // From now on this is what it is to be: at once what is the host's affair, the rest at the next start.
  Result<void> change(store::VmSpec spec);

  // What a stop would do now: the rungs with their times, and the processes that are there. Nothing is done.
  Task<Result<Json>> plan_stop(StopRequest request);

  const VmName& name() const { return record_.spec.name; }
  State state() const { return state_; }
  const store::VmSpec& spec() const { return record_.spec; }
  // What a run of it uses, or the next one would.
  const store::VmSpec& spec_in_force() const { return run_ ? run_spec_ : record_.spec; }
  std::optional<Progress> progress() const;
  // True: something of a run may exist, and hold its locks.
  bool has_run() const { return run_ != nullptr; }
  std::optional<RunId> run_id() const { return run_ ? std::optional(run_->id()) : std::nullopt; }
  // It has a run, or is about to be started again.
  bool needs_daemon() const { return has_run() || keeper_.planned(); }
  Json summary() const;
  Json info() const;

 private:
  Task<Result<Json>> launch(Deadline deadline);
  Task<Result<Json>> start_run(std::shared_ptr<Run> run, Deadline deadline);
  void ended_by_itself(Restarts::End end, Duration ran);
  void restart_after(milliseconds delay);
  Task<void> start_again(Deadline at, std::size_t plan);
  void warn(const std::string& message);
  std::string missing_containment(const bulkhead_kill_semantics& kill) const;
  Result<catalogue::Driver> usable_driver() const;
  stop::Plan plan(const StopRequest& request) const;
  void begin_stop(const StopRequest& request, StopReason reason);
  Task<void> climb(std::shared_ptr<RunStop> work, std::shared_ptr<stop::Climber> climber, StopReason reason);
  Task<void> watch_agent(std::shared_ptr<Run> run);
  Task<void> replace_agent(std::shared_ptr<Run> run);
  Task<void> watch_events(std::shared_ptr<Run> run);
  Task<bool> take_events(std::shared_ptr<Run> run, milliseconds wait);
  Task<void> watch_leader(std::shared_ptr<Run> run);
  void watch(const std::shared_ptr<Run>& run);
  void watch_agent_of(const std::shared_ptr<Run>& run);
  void on_event(const Json& event);
  static StopReason leader_ending(const store::RecordedProcess* leader);
  Json last_stop_on_disk() const;
  Json describe_run() const;
  void enter(State state, std::string why = {});
  void lose(const Error& error);

  const Surroundings& surroundings_;
  store::VmRecord record_;
  MayStart may_start_;
  Keeper keeper_;
  Log log_;
  State state_ = State::stopped;
  std::string why_;                              // of failed, stuck and lost
  std::shared_ptr<Run> run_;                     // while something of a run may exist
  store::VmSpec run_spec_;                       // that it was begun with
  std::shared_ptr<stop::Climber> climber_;       // while a stop is under way
  bool guest_shut_down_ = false;                 // the guest said so in this run
  bool asked_ = false;                           // somebody asked for this run's end
  std::optional<Clock::time_point> ran_from_{};  // once this run was started
  Clock::time_point busy_since_{};               // of the start or stop under way
  Deadline start_deadline_{};
  std::uint64_t last_event_ = 0;  // of this run, taken from the agent
  int agents_replaced_ = 0;       // in this run, by this daemon
  bool replacing_agent_ = false;  // a new one is taking over
  std::optional<Json> last_report_;
  std::vector<std::string> warnings_;  // of this run
  Json started_ = Json::object();      // what the driver said of this run
  Event changed_;
};

}  // namespace bulkhead::daemon
