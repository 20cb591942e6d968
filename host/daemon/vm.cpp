#include "daemon/vm.hpp"

#include <algorithm>
#include <utility>

#include "bulkhead/kill_semantics.hpp"

#include "os/file.hpp"

namespace bulkhead::daemon {

namespace {
constexpr milliseconds prove_time{10'000};
constexpr milliseconds linger_time{2'000};
constexpr milliseconds clean_time{15'000};
constexpr milliseconds extra_time{2'000};  // on top of a declared deadline, for the way there and back
}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::stopped: return "stopped";
    case State::starting: return "starting";
    case State::running: return "running";
    case State::stopping: return "stopping";
    case State::stuck: return "stuck";
    case State::failed: return "failed";
    case State::lost: return "lost";
  }
  return "";
}

Vm::Vm(const Surroundings& surroundings, store::VmRecord record, MayStart may_start)
    : surroundings_(surroundings),
      record_(std::move(record)),
      may_start_(std::move(may_start)),
      keeper_(surroundings, record_.spec.name),
      log_(surroundings.log.about(record_.spec.name.str())),
      run_spec_(record_.spec) {}

void Vm::enter(State state, std::string why) {
  if (state != state_) {
    log_.info("'" + name().str() + "' is " + std::string(daemon::name(state)) + (why.empty() ? "" : ": " + why));
    Json detail{{"from", daemon::name(state_)}, {"to", daemon::name(state)}};
    if (!why.empty()) detail["why"] = why;
    surroundings_.events.publish("vm.state", name().str(), std::move(detail));
  }
  state_ = state;
  why_ = std::move(why);
  changed_.notify();
}

// What the driver declares to need and this host does not provide; "" when nothing.
std::string Vm::missing_containment(const bulkhead_kill_semantics& kill) const {
  const auto missing = kill.containment & ~contain::mask_of(surroundings_.containment.mechanism);
  std::string names;
  for (const NamedValue& flag : containment_names) {
    if ((missing & flag.value) != 0) names += (names.empty() ? "" : ", ") + std::string(flag.name);
  }
  return names;
}

Result<catalogue::Driver> Vm::usable_driver() const {
  const auto catalogue = catalogue::Catalogue::scan(surroundings_.driver_folders);
  TRY(catalogue::Driver driver, catalogue.find(record_.spec.driver));
  const bulkhead_kill_semantics& kill = driver.manifest.kill.declared;
  const std::string what = "use driver '" + record_.spec.driver + "'";
  if (const std::string missing = missing_containment(kill);
      !missing.empty() && !record_.spec.best_effort_containment) {
    return fail(Code::unsupported,
                what + ": it needs the containment '" + missing + "', this host provides '" +
                    std::string(contain::name(surroundings_.containment.mechanism)) + "'",
                "see: bulkhead doctor; or accept less with \"containment\": \"best-effort\" in the VM's spec");
  }
  if (kill.process_model != BULKHEAD_MODEL_CHILD) {
    return fail(Code::unsupported, what + ": the process model '" +
                                       std::string(name_of(process_model_names, kill.process_model)) +
                                       "' is not supported by this version");
  }
  if (kill.offline_stop == BULKHEAD_OFFLINE_COMMAND || kill.offline_stop == BULKHEAD_OFFLINE_REAP_AGENT ||
      kill.graceful == BULKHEAD_GRACEFUL_COMMAND) {
    return fail(Code::unsupported, what + ": stopping by command or by a reap agent is not supported by this version");
  }
  return driver;
}

Task<Result<Json>> Vm::start(Deadline deadline) {
  const auto self = shared_from_this();
  if (run_ || state_ == State::lost) {
    const bool bad = state_ == State::stuck || state_ == State::lost;
    co_return fail(Code::busy, "start '" + name().str() + "': it is " + std::string(daemon::name(state_)),
                   bad ? "see: bulkhead info " + name().str() : "");
  }
  // Turned away before it began, it leaves what is wanted as it was: the host may be ending, or the VM have been
  // removed.
  if (auto may = may_start_(*this); !may) co_return std::unexpected(may.error());
  keeper_.want(store::Desired::State::running);
  auto started = co_await launch(deadline);
  // Whoever asked is told; it is for him to try again. A stop, or another start, has had its own word.
  if (!started && !run_ && !asked_) keeper_.want(store::Desired::State::stopped);
  co_return started;
}

Task<Result<Json>> Vm::launch(Deadline deadline) {
  const std::string what = "start '" + name().str() + "'";
  asked_ = false;
  if (auto may = may_start_(*this); !may) co_return std::unexpected(may.error());
  auto driver = usable_driver();
  if (!driver) co_return std::unexpected(within(what, driver.error()));
  auto begun = Run::begin(surroundings_, record_.spec, *driver);
  if (!begun) co_return std::unexpected(within(what, begun.error()));
  run_ = *std::move(begun);
  run_spec_ = record_.spec;
  warnings_.clear();
  if (const std::string missing = missing_containment(driver->manifest.kill.declared); !missing.empty()) {
    warn("contained more weakly than its driver asks for ('" + missing + "'), as its spec accepts");
  }
  guest_shut_down_ = false;
  ran_from_.reset();
  last_event_ = 0;
  agents_replaced_ = 0;
  started_ = Json::object();
  busy_since_ = Clock::now();
  start_deadline_ = deadline;
  enter(State::starting);
  auto started = co_await start_run(run_, deadline);
  if (!started) co_return std::unexpected(within(what, started.error()));
  co_return started;
}

Task<Result<Json>> Vm::start_run(std::shared_ptr<Run> run, Deadline deadline) {
  Result<Json> reply = fail(Code::internal, "not reached");
  if (auto launched = run->start_agent(); !launched) {
    reply = std::unexpected(launched.error());
  } else {
    Json body = Json::object();
    body["timeout_ms"] = remaining(deadline, Clock::now()).count();
    reply = co_await run->call("/v1/start", std::move(body), deadline);
  }
  if (reply && run_ == run && state_ == State::starting) {
    started_ = *std::move(reply);
    co_await take_events(run, milliseconds{0});  // so that the answer has the start's warnings
    if (run_ == run && state_ == State::starting) {
      ran_from_ = Clock::now();
      enter(State::running);
    }
    watch(run);
    co_return info();
  }
  if (climber_ || run_ != run) {
    while (climber_ && run_ == run) co_await changed_.wait(Deadline::max());
    co_return fail(Code::cancelled, "it was stopped while it started");
  }
  Error error = reply ? Error{.what = "it ended while it started"} : reply.error();
  StopReason reason{.why = "the start failed: " + one_line(error), .unexpected = true};
  begin_stop({.how = StopRequest::How::forced}, std::move(reason));
  while (climber_) co_await changed_.wait(Deadline::max());
  co_return std::unexpected(std::move(error));
}

stop::Plan Vm::plan(const StopRequest& request) const {
  const bulkhead_kill_semantics& kill = run_->kill().declared;
  const milliseconds forced_time = milliseconds{kill.forced_deadline_ms} + extra_time;
  stop::Plan plan{.prove = prove_time, .linger = linger_time, .clean = clean_time};
  if (run_->agent_alive()) {
    plan.force = forced_time;
    const bool askable = state_ == State::running && kill.graceful != BULKHEAD_GRACEFUL_NONE;
    if (askable && request.how == StopRequest::How::gracefully) {
      const auto declared = milliseconds{kill.graceful_timeout_ms};
      plan.ask = request.grace.value_or(record_.spec.grace_period.value_or(declared));
    }
  }
  // Without an offline stop there is still the agent to end, and the truth to be told.
  plan.kill = forced_time;
  return plan;
}

void Vm::begin_stop(const StopRequest& request, StopReason reason) {
  auto work = std::make_shared<RunStop>(surroundings_, run_);
  climber_ = std::make_shared<stop::Climber>(plan(request), work, surroundings_.scope);
  busy_since_ = Clock::now();
  enter(State::stopping, reason.why);
  surroundings_.scope.spawn("stop " + name().str(), climb(std::move(work), climber_, std::move(reason)));
}

Task<void> Vm::climb(std::shared_ptr<RunStop> work, std::shared_ptr<stop::Climber> climber, StopReason reason) {
  const auto self = shared_from_this();
  co_await climber->run();
  const stop::Ladder& ladder = climber->ladder();
  // What the guest said last is often heard only after its process is gone.
  if (guest_shut_down_ && !asked_ && (!reason.unexpected || reason.unexplained)) {
    reason.why = "the guest shut down";
    reason.unexpected = false;
  }
  last_report_ = stop_report(*run_, ladder, work->notes(), reason);
  const auto file = surroundings_.store.paths(name()).last_stop;
  if (auto written = os::write_atomically(file, dump_pretty(*last_report_) + "\n"); !written) {
    log_.warning(written.error().what);
  }
  const bool cleaned = !ladder.story().empty() && ladder.story().back().saw == stop::Saw::done;
  climber_.reset();
  if (ladder.outcome() == stop::Outcome::stuck) {
    enter(State::stuck, string_or(*last_report_, "why"));
  } else if (!cleaned) {
    // Proved gone, but something could not be removed: the run is kept, so that a later stop finishes it.
    enter(State::stuck, "the VM is gone, but " + ladder.story().back().detail);
  } else {
    run_.reset();
    if (reason.unexpected) {
      enter(State::failed, reason.why);
    } else {
      enter(State::stopped);
    }
    const auto ran_from = std::exchange(ran_from_, std::nullopt);
    if (!asked_ && ran_from) {
      const bool badly = reason.unexpected || (reason.leftover && !reason.ended_well);
      ended_by_itself(badly ? Restarts::End::failed : Restarts::End::clean, busy_since_ - *ran_from);
    }
  }
  changed_.notify();
}

void Vm::ended_by_itself(Restarts::End end, Duration ran) {
  const store::Restart& settings = record_.spec.restart;
  const auto delay = keeper_.ended(end, ran, settings);
  if (delay) {
    restart_after(*delay);
  } else if (keeper_.gave_up()) {
    const std::string why = why_ + (why_.empty() ? "" : "; ") + "gave up after " + std::to_string(keeper_.restarts()) +
                            " restarts in a row";
    surroundings_.events.publish("vm.restart", name().str(),
                                 {{"gave_up", true}, {"count", keeper_.restarts()}, {"limit", settings.limit}});
    log_.warning("'" + name().str() + "': " + why);
    enter(State::failed, why);
  }
}

void Vm::restart_after(milliseconds delay) {
  Json detail{{"in_ms", delay.count()}, {"count", keeper_.restarts()}, {"limit", record_.spec.restart.limit}};
  surroundings_.events.publish("vm.restart", name().str(), std::move(detail));
  surroundings_.scope.spawn("restart " + name().str(), start_again(Clock::now() + delay, keeper_.plan()));
}

Task<void> Vm::start_again(Deadline at, std::size_t plan) {
  const auto self = shared_from_this();
  constexpr milliseconds patience{120'000};
  while (keeper_.plan() == plan && Clock::now() < at) co_await changed_.wait(at);
  if (keeper_.plan() != plan || run_) co_return;
  keeper_.restarting();
  const std::size_t ours = keeper_.plan();
  auto started = co_await launch(Clock::now() + patience);
  if (started || keeper_.plan() != ours || run_ || asked_) co_return;
  log_.warning(one_line(started.error()));
  enter(State::failed, one_line(started.error()));
  ended_by_itself(Restarts::End::failed, Duration{});
}

Task<void> Vm::start_if_wanted(std::string boot_id) {
  const auto self = shared_from_this();
  // What an earlier run left is cleaned first.
  while (climber_) co_await changed_.wait(Deadline::max());
  if (run_ || state_ == State::lost || keeper_.held()) co_return;
  const auto what = keeper_.at_start(record_.spec, boot_id);
  if (what == Keeper::AtStart::restart) {
    if (const auto delay = keeper_.resume(record_.spec.restart)) restart_after(*delay);
  } else if (what == Keeper::AtStart::start) {
    const auto now = Clock::now();
    co_await start_again(now, keeper_.plan());
  }
}

void Vm::hold() {
  keeper_.hold();
  changed_.notify();
}

Result<void> Vm::change(store::VmSpec spec) {
  store::VmRecord changed = record_;
  changed.spec = std::move(spec);
  CHECKED(surroundings_.store.change(changed));
  record_ = std::move(changed);
  if (keeper_.planned() && record_.spec.restart.policy == store::Restart::Policy::never) {
    keeper_.want(store::Desired::State::stopped);
    changed_.notify();
  }
  surroundings_.events.publish("vm.changed", name().str());
  return {};
}

Task<Result<Json>> Vm::restart(StopRequest request, milliseconds start_time) {
  const auto self = shared_from_this();
  request.by = StopRequest::By::host;
  auto stopped = co_await stop(request);
  if (!stopped) co_return stopped;
  if (run_) {
    co_return fail(Code::busy,
                   "restart '" + name().str() + "': it is " + std::string(daemon::name(state_)) + ": " + why_,
                   "see: bulkhead info " + name().str());
  }
  co_return co_await start(Clock::now() + start_time);
}

void Vm::warn(const std::string& message) {
  warnings_.push_back(message);
  if (warnings_.size() > 20) warnings_.erase(warnings_.begin());
  surroundings_.events.publish("vm.warning", name().str(), {{"message", message}});
}

Task<Result<Json>> Vm::stop(StopRequest request) {
  const auto self = shared_from_this();
  if (state_ == State::lost) {
    co_return fail(Code::foreign, "stop '" + name().str() + "': it is lost: " + why_,
                   "look at what is there before anything is ended: bulkhead info " + name().str());
  }
  if (request.by == StopRequest::By::client) {
    keeper_.want(store::Desired::State::stopped);
    changed_.notify();
  }
  // A guest can only be asked through an agent. Whoever wants force need not wait.
  while (replacing_agent_ && !climber_ && request.how == StopRequest::How::gracefully) {
    co_await changed_.wait(Deadline::max());
  }
  if (!run_) {
    if (state_ == State::failed) enter(State::stopped);
    Json already = Json::object();
    already["outcome"] = "stopped";
    already["vm"] = name().str();
    already["already"] = true;
    co_return already;
  }
  asked_ = true;
  // An old report must not be taken for this stop's.
  if (!climber_) {
    last_report_.reset();
    begin_stop(request, {.why = request.by == StopRequest::By::client ? "asked by a client" : "asked by the host"});
  } else if (request.how == StopRequest::How::forced) {
    climber_->force();
  }
  while (climber_) co_await changed_.wait(Deadline::max());
  if (!last_report_) co_return fail(Code::internal, "stop '" + name().str() + "': it left no report");
  co_return *last_report_;
}

}  // namespace bulkhead::daemon
