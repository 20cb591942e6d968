// Machine::start and what belongs to it.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "qemu/files.posix.hpp"
#include "qemu/json_text.hpp"
#include "qemu/machine.hpp"
#include "qemu/platform.hpp"
#include "qemu/qemu_log.hpp"

namespace bulkhead::qemu {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kill_signal = 9;
constexpr std::size_t log_tail = std::size_t{16} * 1024;
// Long enough for firmware and a kernel's first instructions; see docs/drivers/qemu.md.
constexpr auto internal_error_window = 500ms;

std::string detail_of(const Problem& problem) {
  json detail{{"pointer", problem.pointer}};
  if (!problem.hint.empty()) detail["hint"] = problem.hint;
  return json_text(detail);
}

std::string exit_text(const bulkhead_exit& exit) {
  if (exit.signal != 0) return "QEMU was ended by signal " + std::to_string(exit.signal);
  return "QEMU exited with code " + std::to_string(exit.code);
}

}  // namespace

void Machine::start(const Op& op) {
  if (leader_ && !leader_exited()) throw Status(BULKHEAD_BUSY, subject("start") + "it is running already");
  if (const auto problems = problems_now(); !problems.empty()) {
    const Problem& first = problems.front();
    const std::string where = problems_.empty() ? "" : "configuration '" + first.pointer + "': ";
    throw Status(BULKHEAD_CONFIG, "start qemu: " + where + first.reason, detail_of(first));
  }
  session_.reset();
  leader_ = {};
  unsure_ = false;
  verdicts_ = std::make_shared<VerdictStore>(VerdictStore::path_in(host().vm_dir()), verdict_key());
  Run run = prepare(op);
  const auto remembered = verdicts_->recall();
  const auto attempts = plan_attempts(config_, remembered, try_kvm);
  std::string why;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    Attempt current = attempts[i];
    if (!why.empty() && current.accelerator == Accelerator::tcg) current.reason = why;
    const Outcome outcome = attempt(op, run, current, why);
    if (outcome != Outcome::accelerator_failed) {
      remember(current, outcome, remembered);
      return report_start(op, run, current);
    }
    host().log(BULKHEAD_LOG_WARNING, "KVM with CPU " + current.cpu_model + " failed: " + why);
    end_failed_attempt(op);
  }
  throw Status(BULKHEAD_UNAVAILABLE, "start qemu: " + why, R"({"hint":"set options.accelerator to auto or tcg"})");
}

Machine::Run Machine::prepare(const Op& op) {
  Run run;
  for (const Disk& disk : config_.disks) {
    const bool shared = disk.access == DiskAccess::read_only;
    run.locks.push_back(host().lock(op, disk.path, shared ? R"({"shared":true})" : nullptr));
  }
  const char* const keep = R"({"persistent":true})";
  state_ = {};
  state_.guest_name = guest_name(host().vm_id(), host().run_id());
  state_.qmp = host().artifact(op, "unix_socket", "qmp");
  state_.qmp_emergency = host().artifact(op, "unix_socket", "qmp2");
  if (config_.console == Console::serial) {
    state_.console = host().artifact(op, "unix_socket", "console");
    state_.console_log = host().artifact(op, "log", "console", keep);
  }
  run.qemu_log = host().artifact(op, "log", "qemu", keep);
  run.facts.binary = find_program(config_.binary).value_or(config_.binary);
  run.facts.guest_name = state_.guest_name;
  run.facts.uuid = stable_uuid(host().vm_id(), host().vm_dir());
  run.facts.console_log = state_.console_log;
  run.facts.sandbox = sandbox_support();
  return run;
}

Machine::Outcome Machine::attempt(const Op& op, Run& run, const Attempt& attempt, std::string& why) {
  run.facts.accelerator = attempt.accelerator;
  run.facts.cpu_model = attempt.cpu_model;
  run.log_start = size_of(run.qemu_log);
  state_.accelerator = name_of(attempt.accelerator);
  seen_ = std::make_shared<Seen>();
  seen_->deciding = attempt.watch == Watch::for_internal_error;
  launch(op, run);
  Outcome outcome = await_running(op, run, why);
  if (outcome == Outcome::running && attempt.watch == Watch::for_internal_error) outcome = watch(op, run, why);
  seen_->deciding = false;
  return outcome;
}

void Machine::launch(const Op& op, Run& run) {
  // Our copies are closed on return: QEMU's death then shows as the end of the stream.
  std::vector<Fd> listening;
  json inherit = run.locks;
  const auto listen = [&](const std::string& path) {
    listening.push_back(listen_at(path));
    inherit.push_back(listening.back().get());
    return InheritedSocket{listening.back().get()};
  };
  run.facts.qmp = listen(state_.qmp);
  run.facts.qmp_emergency = listen(state_.qmp_emergency);
  if (!state_.console.empty()) run.facts.console = listen(state_.console);
  open_session(state_.qmp);  // in the queue before QEMU exists: no path to poll for
  host().save_state(op, state_text(state_));
  const json spec{{"role", "leader"},
                  {"argv", command_line(config_, run.facts)},
                  {"stdout", run.qemu_log},
                  {"stderr", run.qemu_log},
                  {"inherit", inherit}};
  leader_ = host().spawn(op, json_text(spec));
}

Machine::Outcome Machine::await_running(const Op& op, const Run& run, std::string& why) {
  const Patience until_over = patience(op, std::chrono::hours(24));
  Answer answer = session_->greet(until_over);
  while (answer.ok()) {
    answer = session_->execute("query-status", until_over);
    if (!answer.ok()) break;
    const std::string state = qmp::run_state_in(answer.value).value_or("");
    if (state == "internal-error" && run.facts.accelerator == Accelerator::kvm) {
      why = "KVM failed with an internal error";
      return Outcome::accelerator_failed;
    }
    if (state != "prelaunch" && state != "inmigrate") break;
    leader_.wait(10ms);
  }
  if (answer.ok()) return Outcome::running;
  if (answer.kind == Answer::Kind::refused) throw Status(BULKHEAD_UNAVAILABLE, "start qemu: " + answer.text);
  // The stream may end a little before the process does.
  if (answer.kind == Answer::Kind::closed) leader_.wait(std::min<std::chrono::milliseconds>(2s, op.remaining()));
  if (leader_exited()) return judge_exit(run, why);
  if (op.remaining() == 0ms) throw Status(BULKHEAD_DEADLINE, "start qemu: its control socket did not answer in time");
  throw Status(BULKHEAD_UNAVAILABLE, "start qemu: it closed its control socket");
}

// A KVM that cannot run this guest may say so only once the guest runs.
Machine::Outcome Machine::watch(const Op& op, const Run& run, std::string& why) {
  const auto end = Clock::now() + internal_error_window;
  while (Clock::now() < end && op.remaining() > 0ms && !seen_->internal_error) {
    if (leader_.wait(20ms)) return judge_exit(run, why);
  }
  const bool failed = seen_->internal_error || run_state(op, 300ms) == "internal-error";
  if (!failed) return Outcome::running;
  why = "KVM failed with an internal error";
  return Outcome::accelerator_failed;
}

Machine::Outcome Machine::judge_exit(const Run& run, std::string& why) {
  session_->drain({Clock::now() + 500ms, {}});
  const auto exit = leader_.wait(0ms);
  // The guest shut down faster than start returned: not an error.
  if (exit && exit->code == 0) return Outcome::ended_by_guest;
  const ExitCause cause = exit_cause(read_tail(run.qemu_log, run.log_start, log_tail));
  why = cause.text.empty() && exit ? exit_text(*exit) : cause.text;
  if (cause.accelerator && run.facts.accelerator == Accelerator::kvm) return Outcome::accelerator_failed;
  throw Status(cause.status, "start qemu: " + why, json_text({{"hint", "see '" + run.qemu_log + "'"}}));
}

void Machine::end_failed_attempt(const Op& op) {
  if (session_ && !leader_exited()) session_->execute("quit", patience(op, 300ms));
  session_.reset();
  if (leader_.wait(std::min<std::chrono::milliseconds>(2s, op.remaining()))) return;
  leader_.signal(kill_signal);
  if (leader_.wait(2s)) return;
  throw Status(BULKHEAD_UNAVAILABLE, "start qemu: the QEMU that failed under KVM does not end");
}

void Machine::remember(const Attempt& attempt, Outcome outcome, const std::optional<Verdict>& before) {
  if (config_.accelerator != AcceleratorChoice::automatic) return;
  // A guest that ended at once has not shown that KVM runs it.
  if (attempt.accelerator == Accelerator::kvm && outcome == Outcome::ended_by_guest) return;
  const Verdict verdict{attempt.accelerator, attempt.cpu_model, attempt.reason};
  if (before != verdict) verdicts_->remember(verdict);
}

void Machine::report_start(const Op& op, const Run& run, const Attempt& attempt) {
  const std::string name = name_of(attempt.accelerator);
  if (config_.accelerator == AcceleratorChoice::automatic) {
    host().emit("accelerator", json_text({{"name", name}, {"reason", attempt.reason}}));
    if (attempt.accelerator == Accelerator::tcg)
      host().log(BULKHEAD_LOG_WARNING, "the guest is emulated (TCG), which is slow: " + attempt.reason);
  }
  json reply{{"accelerator", name}, {"qemu_version", session_->qemu_version()}};
  if (!state_.console.empty()) reply["console"] = {{"socket", state_.console}, {"log", state_.console_log}};
  reply["log"] = run.qemu_log;
  op.reply(json_text(reply));
}

}  // namespace bulkhead::qemu
