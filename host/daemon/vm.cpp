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

Vm::Vm(const Surroundings& surroundings, store::VmRecord record)
    : surroundings_(surroundings), record_(std::move(record)) {}

void Vm::enter(State state, std::string why) {
  if (state != state_) {
    surroundings_.log.info("'" + name().str() + "' is " + std::string(daemon::name(state)) +
                           (why.empty() ? "" : ": " + why));
  }
  state_ = state;
  why_ = std::move(why);
  changed_.notify();
}

void Vm::lose(const Error& error) {
  surroundings_.log.error("'" + name().str() + "' is lost: " + error.what);
  enter(State::lost, error.what);
}

Task<void> Vm::recover() {
  const auto self = shared_from_this();
  auto view = store::Ledger::read(surroundings_.store.paths(name()).ledger);
  if (!view) {
    if (view.error().code != Code::not_found) lose(view.error());
    co_return;
  }
  if (view->ended) co_return;
  // A look can fail for a moment (no free file handle); what cannot be told after some tries is lost, not guessed.
  Result<std::vector<contain::Member>> members = fail(Code::unknown, "not looked at");
  bool answers = false;
  for (int attempt = 0; attempt < 5 && !members; ++attempt) {
    if (attempt > 0) co_await pause_until(Clock::now() + milliseconds{500});
    auto resumed = Run::resume(surroundings_, name(), *view);
    if (!resumed) {
      members = std::unexpected(resumed.error());
      if (resumed.error().code == Code::unknown || resumed.error().code == Code::incompatible) break;
      continue;
    }
    run_ = *resumed;
    answers = co_await run_->agent_answers();
    members = co_await run_->members();
  }
  if (!members) {
    run_.reset();
    lose(members.error());
    co_return;
  }
  // Read again: a start may have been completed by the agent meanwhile.
  const auto now = run_->ledger();
  const bool was_started = now && now->start_reply.has_value();
  if (was_started) started_ = *now->start_reply;
  const auto run = run_;
  if (contain::only_init(run->known(), *members) || !was_started) {
    begin_stop({.how = StopRequest::How::forced}, {.why = "left over from a run that had ended"});
    co_return;
  }
  const Json last = last_stop_on_disk();
  if (string_or(last, "run") == run->id().str() && string_or(last, "outcome") == "stuck") {
    enter(State::stuck, string_or(last, "why"));
    co_return;
  }
  enter(State::running);
  if (!answers && run->agent_alive()) warnings_.push_back("its agent does not answer");
  watch(run);
}

Json Vm::last_stop_on_disk() const {
  const auto text = os::read_file(surroundings_.store.paths(name()).last_stop);
  Json last = text ? Json::parse(*text, nullptr, false) : Json();
  return last.is_object() ? last : Json::object();
}

// From now on, whatever ends of the run is noticed.
void Vm::watch(const std::shared_ptr<Run>& run) {
  surroundings_.scope.spawn("leader of " + name().str(), watch_leader(run));
  watch_agent_of(run);
}

void Vm::watch_agent_of(const std::shared_ptr<Run>& run) {
  if (!run->agent_alive()) {
    surroundings_.scope.spawn("agent of " + name().str(), replace_agent(run));
    return;
  }
  surroundings_.scope.spawn("agent of " + name().str(), watch_agent(run));
  surroundings_.scope.spawn("events of " + name().str(), watch_events(run));
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
  auto driver = usable_driver();
  if (!driver) co_return std::unexpected(within("start '" + name().str() + "'", driver.error()));
  auto begun = Run::begin(surroundings_, record_.spec, *driver);
  if (!begun) co_return std::unexpected(within("start '" + name().str() + "'", begun.error()));
  run_ = *std::move(begun);
  warnings_.clear();
  if (const std::string missing = missing_containment(driver->manifest.kill.declared); !missing.empty()) {
    warnings_.push_back("contained more weakly than its driver asks for ('" + missing + "'), as its spec accepts");
  }
  guest_shut_down_ = false;
  asked_ = false;
  last_event_ = 0;
  agents_replaced_ = 0;
  started_ = Json::object();
  enter(State::starting);
  auto started = co_await start_run(run_, deadline);
  if (!started) co_return std::unexpected(within("start '" + name().str() + "'", started.error()));
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
    if (run_ == run && state_ == State::starting) enter(State::running);
    watch(run);
    co_return info();
  }
  if (climber_ || run_ != run) {
    while (climber_ && run_ == run) co_await changed_.wait(Deadline::max());
    co_return fail(Code::cancelled, "it was stopped while it started");
  }
  Error error = reply ? Error{.what = "it ended while it started"} : reply.error();
  StopReason reason{.why = "the start failed: " + error.what, .unexpected = true};
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
  enter(State::stopping, reason.why);
  surroundings_.scope.spawn("stop " + name().str(), climb(std::move(work), climber_, std::move(reason)));
}

Task<void> Vm::climb(std::shared_ptr<RunStop> work, std::shared_ptr<stop::Climber> climber, StopReason reason) {
  const auto self = shared_from_this();
  co_await climber->run();
  const stop::Ladder& ladder = climber->ladder();
  // What the guest said last is often heard only after its process is gone.
  if (guest_shut_down_ && !reason.unexpected && !asked_) reason.why = "the guest shut down";
  last_report_ = stop_report(*run_, ladder, work->notes(), reason);
  const auto file = surroundings_.store.paths(name()).last_stop;
  if (auto written = os::write_atomically(file, dump_pretty(*last_report_) + "\n"); !written) {
    surroundings_.log.warning(written.error().what);
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
  }
  changed_.notify();
}

Task<Result<Json>> Vm::plan_stop(StopRequest request) {
  const auto self = shared_from_this();
  Json json{
      {"vm", name().str()}, {"state", daemon::name(state_)}, {"rungs", Json::array()}, {"processes", Json::array()}};
  if (!run_) co_return json;
  const stop::Plan planned = plan(request);
  const Json declared = run_->manifest().value("kill", Json::object());
  const auto add = [&json](stop::Rung rung, std::optional<Duration> time, const std::string& what) {
    if (!time) return;
    const auto ms = std::chrono::duration_cast<milliseconds>(*time).count();
    json["rungs"].push_back({{"rung", stop::name(rung)}, {"at_most_ms", ms}, {"what", what}});
  };
  add(stop::Rung::ask, planned.ask, string_or(declared, "graceful"));
  add(stop::Rung::force, planned.force, string_or(declared, "forced"));
  add(stop::Rung::kill, planned.kill, "kill the agent, then offline stop: " + string_or(declared, "offline_stop"));
  add(stop::Rung::prove, planned.prove, "census, cgroup, the agent's children, the driver");
  add(stop::Rung::clean, planned.clean, "the driver's cleanup, then the artifacts in reverse order");
  json["disks_after_force"] = string_or(declared, "disk_safety");
  json["blast_radius"] = string_or(declared, "forced_blast_radius");
  auto run = run_;
  auto members = co_await run->members();
  if (!members) co_return std::unexpected(members.error());
  for (const contain::Member& m : *members) {
    json["processes"].push_back({{"pid", m.identity.pid}, {"name", m.name}, {"found_by", m.found_by}});
  }
  co_return json;
}

Task<Result<Json>> Vm::stop(StopRequest request) {
  const auto self = shared_from_this();
  if (state_ == State::lost) {
    co_return fail(Code::foreign, "stop '" + name().str() + "': it is lost: " + why_,
                   "look at what is there before anything is ended: bulkhead info " + name().str());
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
  // An old report must not be taken for this stop's.
  if (!climber_) {
    last_report_.reset();
    asked_ = true;
    begin_stop(request, {.why = "asked by a client"});
  } else if (request.how == StopRequest::How::forced) {
    climber_->force();
  }
  while (climber_) co_await changed_.wait(Deadline::max());
  if (!last_report_) co_return fail(Code::internal, "stop '" + name().str() + "': it left no report");
  co_return *last_report_;
}

Task<void> Vm::watch_agent(std::shared_ptr<Run> run) {
  const auto self = shared_from_this();
  co_await run->agent_exit();
  if (run_ != run) co_return;
  if (climber_) {
    climber_->agent_died();
    co_return;
  }
  if (state_ != State::running) co_return;
  surroundings_.log.warning("the agent of '" + name().str() + "' died");
  const bool survives = run->kill().declared.on_agent_death == BULKHEAD_AGENT_DEATH_VM_SURVIVES;
  if (survives) {
    // Whether the VM is alive is the leader's watch to tell.
    co_await replace_agent(run);
    co_return;
  }
  begin_stop({.how = StopRequest::How::forced}, {.why = "its agent died, and the VM with it", .unexpected = true});
}

// A VM that outlived its agent gets a new one. Whatever comes of it, the VM runs on.
Task<void> Vm::replace_agent(std::shared_ptr<Run> run) {
  const auto self = shared_from_this();
  constexpr int most = 3;
  constexpr milliseconds patience{20'000};
  const std::string only_by_force = "its agent died: it runs on, but can only be stopped by force";
  if (run->kill().declared.recover != BULKHEAD_RECOVER_FULL) {
    warnings_.push_back(only_by_force);
    co_return;
  }
  if (agents_replaced_++ == most) {
    warnings_.push_back(only_by_force + ", since " + std::to_string(most) + " agents after it died too");
    co_return;
  }
  replacing_agent_ = true;
  auto taken_over = co_await run->replace_agent(Clock::now() + patience);
  replacing_agent_ = false;
  changed_.notify();
  if (run_ != run || climber_ || state_ != State::running) co_return;
  last_event_ = 0;  // of the new agent
  if (taken_over) {
    surroundings_.log.info("'" + name().str() + "' has a new agent");
    warnings_.push_back("its agent died; a new one has taken over");
  } else if (taken_over.error().code != Code::gone) {
    surroundings_.log.error("take over '" + name().str() + "': " + taken_over.error().what);
    warnings_.push_back(only_by_force + ": " + taken_over.error().what);
  }
  watch_agent_of(run);
}

// By the process itself, whatever the agent does or does not say.
Task<void> Vm::watch_leader(std::shared_ptr<Run> run) {
  const auto self = shared_from_this();
  co_await run->leader_exit();
  // The agent writes down how it ended a moment later.
  const Deadline patience = Clock::now() + milliseconds{1'000};
  for (;;) {
    if (run_ != run || climber_ || state_ != State::running) co_return;
    const auto view = run->ledger();
    const auto* leader = view ? view->last_of(store::Role::leader) : nullptr;
    const bool told = leader != nullptr && leader->exit_code.has_value();
    if (told || !run->agent_alive() || Clock::now() >= patience) {
      begin_stop({.how = StopRequest::How::forced}, leader_ending(leader));
      co_return;
    }
    co_await pause_until(Clock::now() + milliseconds{5});
  }
}

Task<void> Vm::watch_events(std::shared_ptr<Run> run) {
  const auto self = shared_from_this();
  constexpr milliseconds poll{20'000};
  while (run_ == run && run->agent_alive()) {
    const bool heard = co_await take_events(run, poll);
    // An agent that does not answer is not asked in a hurry.
    if (!heard && run->agent_alive()) co_await pause_until(Clock::now() + milliseconds{2'000});
  }
}

Task<bool> Vm::take_events(std::shared_ptr<Run> run, milliseconds wait) {
  auto answer = co_await run->events(last_event_, wait);
  if (run_ != run || !answer) co_return false;
  for (const Json& event : answer->value("events", Json::array())) {
    const auto number = static_cast<std::uint64_t>(integer_or(event, "number", 0));
    if (number <= last_event_) continue;
    last_event_ = number;
    on_event(event);
  }
  co_return true;
}

void Vm::on_event(const Json& event) {
  const std::string kind = string_or(event, "event");
  const Json detail = object_at(event, "detail").value_or(Json::object());
  surroundings_.log.debug("'" + name().str() + "' event " + kind + " " + dump(detail));
  if (kind == "guest-shutdown") guest_shut_down_ = true;
  if (kind == "warning") warnings_.push_back(string_or(detail, "message"));
  if (kind == "accelerator")
    warnings_.push_back("accelerator " + string_or(detail, "name") + ": " + string_or(detail, "reason"));
  if (warnings_.size() > 20) warnings_.erase(warnings_.begin());
}

StopReason Vm::leader_ending(const store::RecordedProcess* leader) {
  if (leader == nullptr || !leader->exit_code) return {.why = "its process ended", .unexpected = true};
  if (leader->exit_signal.value_or(0) != 0) {
    return {.why = "its process was killed by signal " + std::to_string(*leader->exit_signal), .unexpected = true};
  }
  return {.why = "its process exited with code " + std::to_string(*leader->exit_code),
          .unexpected = *leader->exit_code != 0};
}

Json Vm::summary() const {
  Json json{{"name", name().str()},
            {"state", daemon::name(state_)},
            {"driver", record_.spec.driver},
            {"cpus", record_.spec.cpus},
            {"memory_bytes", count(record_.spec.memory)}};
  if (!why_.empty()) json["why"] = why_;
  if (started_.contains("accelerator") && run_) json["accelerator"] = started_["accelerator"];
  return json;
}

Json Vm::info() const {
  Json json = summary();
  const store::VmPaths paths = surroundings_.store.paths(name());
  json["created_at"] = record_.created_at;
  json["spec"] = store::to_json(record_.spec);
  json["directory"] = paths.directory.string();
  json["agent_log"] = paths.agent_log.string();
  json["warnings"] = warnings_;
  if (run_) {
    Json run{{"id", run_->id().str()}, {"containment", run_->beginning().containment}};
    if (const auto agent = run_->agent_identity()) {
      run["agent"] = {{"pid", agent->pid}, {"alive", run_->agent_alive()}};
    }
    if (const auto view = run_->ledger()) {
      if (const auto* leader = view->last_of(store::Role::leader)) run["leader"] = {{"pid", leader->identity.pid}};
      run["locks"] = Json::array();
      for (const store::RecordedLock& lock : view->locks) {
        run["locks"].push_back({{"path", lock.path}, {"shared", lock.shared}});
      }
    }
    run["driver_says"] = started_;
    run["kill"] = run_->manifest().value("kill", Json::object());
    json["run"] = std::move(run);
  }
  if (Json last = last_stop_on_disk(); !last.empty()) json["last_stop"] = std::move(last);
  return json;
}

}  // namespace bulkhead::daemon
