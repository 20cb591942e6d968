#include <algorithm>
#include <utility>

#include "daemon/vm.hpp"

// What happens to a VM without anybody asking: adopted after the daemon's start, watched while it runs.
namespace bulkhead::daemon {

void Vm::lose(const Error& error) {
  log_.error("'" + name().str() + "' is lost: " + error.what);
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
    run_spec_ = store::parse_spec(run_->beginning().spec, {}).value_or(record_.spec);
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
  ran_from_ = Clock::now();  // as far as this daemon knows
  if (contain::only_init(run->known(), *members) || !was_started) {
    const auto* leader = now ? now->last_of(store::Role::leader) : nullptr;
    const bool well =
        was_started && leader != nullptr && leader->exit_code == 0 && leader->exit_signal.value_or(0) == 0;
    begin_stop({.how = StopRequest::How::forced},
               {.why = "left over from a run that had ended", .leftover = true, .ended_well = well});
    co_return;
  }
  const Json last = last_stop_on_disk();
  if (string_or(last, "run") == run->id().str() && string_or(last, "outcome") == "stuck") {
    enter(State::stuck, string_or(last, "why"));
    co_return;
  }
  enter(State::running);
  if (!answers && run->agent_alive()) warn("its agent does not answer: " + run->agent_trouble());
  watch(run);
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

Task<void> Vm::watch_agent(std::shared_ptr<Run> run) {
  const auto self = shared_from_this();
  co_await run->agent_exit();
  if (run_ != run) co_return;
  if (climber_) {
    climber_->agent_died();
    co_return;
  }
  if (state_ != State::running) co_return;
  log_.warning("the agent of '" + name().str() + "' died");
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
    warn(only_by_force);
    co_return;
  }
  if (agents_replaced_++ == most) {
    warn(only_by_force + ", since " + std::to_string(most) + " agents after it died too");
    co_return;
  }
  replacing_agent_ = true;
  auto taken_over = co_await run->replace_agent(Clock::now() + patience);
  replacing_agent_ = false;
  changed_.notify();
  if (run_ != run || climber_ || state_ != State::running) co_return;
  last_event_ = 0;  // of the new agent
  if (taken_over) {
    log_.info("'" + name().str() + "' has a new agent");
    warn("its agent died; a new one has taken over");
  } else if (taken_over.error().code != Code::gone) {
    log_.error("take over '" + name().str() + "': " + taken_over.error().what);
    warn(only_by_force + ": " + taken_over.error().what);
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
  const int agent = agents_replaced_;  // a later one has its own watch
  const auto current = [&] { return run_ == run && agents_replaced_ == agent && run->agent_alive(); };
  while (current()) {
    const bool heard = co_await take_events(run, poll);
    // An agent that does not answer is not asked in a hurry.
    if (!heard && current()) co_await pause_until(Clock::now() + milliseconds{2'000});
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
  log_.debug("'" + name().str() + "' event " + kind + " " + dump(detail));
  if (kind == "guest-shutdown") guest_shut_down_ = true;
  if (kind == "warning") warn(string_or(detail, "message"));
  if (kind == "accelerator") warn("accelerator " + string_or(detail, "name") + ": " + string_or(detail, "reason"));
}

StopReason Vm::leader_ending(const store::RecordedProcess* leader) {
  if (leader == nullptr || !leader->exit_code)
    return {.why = "its process ended", .unexpected = true, .unexplained = true};
  if (leader->exit_signal.value_or(0) != 0) {
    return {.why = "its process was killed by signal " + std::to_string(*leader->exit_signal), .unexpected = true};
  }
  return {.why = "its process exited with code " + std::to_string(*leader->exit_code),
          .unexpected = *leader->exit_code != 0};
}

}  // namespace bulkhead::daemon
