#include "daemon/run_stop.hpp"

#include <algorithm>
#include <utility>

#include "bulkhead/kill_semantics.hpp"

#include "base/failpoint.hpp"
#include "contain/cgroup.hpp"
#include "os/file.hpp"

namespace bulkhead::daemon {

namespace {

Json timeout_body(Deadline deadline) {
  Json body = Json::object();
  body["timeout_ms"] = remaining(deadline, Clock::now()).count();
  return body;
}

}  // namespace

Task<stop::Seen> RunStop::perform(stop::Rung rung, Deadline until) {
  const auto self = shared_from_this();  // the rung may be left while its work still runs
  failpoint("rung." + std::string(stop::name(rung)));
  switch (rung) {
    case stop::Rung::ask: co_return co_await ask(until);
    case stop::Rung::force: co_return co_await force(until);
    case stop::Rung::kill: co_return co_await kill_all(until);
    case stop::Rung::prove: co_return co_await prove(until);
    case stop::Rung::clean: co_return co_await clean(until);
  }
  co_return stop::Seen{};
}

Task<stop::Seen> RunStop::ask(Deadline until) {
  auto asked = co_await run_->call("/v1/ask", timeout_body(until), until);
  stop::Seen seen;
  seen.saw = asked ? stop::Saw::done : stop::Saw::refused;
  seen.detail = asked ? "the VM ended" : asked.error().what;
  co_return seen;
}

Task<stop::Seen> RunStop::force(Deadline until) {
  auto forced = co_await run_->call("/v1/force", timeout_body(until), until);
  stop::Seen seen;
  if (!forced) {
    seen.detail = forced.error().what;
    co_return seen;
  }
  const std::size_t ended = forced->value("ended", Json::array()).size();
  const std::size_t left = forced->value("survivors", Json::array()).size();
  for (const Json& m : forced->value("ended", Json::array())) {
    auto identity = store::identity_from_json(m.value("identity", Json::object()));
    if (!identity) continue;
    contain::Member member{
        .identity = *std::move(identity), .name = string_or(m, "name"), .found_by = string_or(m, "found_by")};
    strays_.push_back(std::move(member));
  }
  seen.saw = left == 0 ? stop::Saw::done : stop::Saw::refused;
  seen.detail = std::to_string(ended) + (ended == 1 ? " process ended" : " processes ended");
  if (left > 0) seen.detail += ", " + std::to_string(left) + " still alive: " + string_or(*forced, "obstacle");
  co_return seen;
}

Task<stop::Seen> RunStop::kill_all(Deadline until) {
  stop::Seen seen;
  if (run_->agent_alive()) {
    if (auto killed = run_->kill_agent(); !killed) {
      seen.detail = killed.error().what;
      co_return seen;
    }
    if (!co_await run_->agent_exited_by(until)) {
      seen.detail = "the agent, pid " + std::to_string(run_->agent_identity()->pid) + ", does not die";
      co_return seen;
    }
    seen.detail = "agent killed; ";
  }
  if (run_->kill().declared.offline_stop != BULKHEAD_OFFLINE_CORE) {
    seen.detail += "the driver declares that the VM cannot be ended without it";
    co_return seen;
  }
  // In slices: a VM that does not die must not keep the pool's threads from the others.
  const contain::Known known_now = run_->known();
  const bool kernel_knows = !known_now.cgroup.empty() || known_now.init;
  contain::Sweep swept;
  std::size_t ended = 0;
  std::string obstacle;  // of the last slice that met one
  bool done = false;
  while (!done) {
    const Deadline slice = std::min(until, Clock::now() + milliseconds{250});
    std::function<contain::Sweep()> work = [known_now, slice] { return contain::sweep(known_now, slice); };
    swept = co_await on_thread(surroundings_.pool.get_executor(), std::move(work));
    note_ended(swept.ended);
    ended += swept.ended.size();
    if (!swept.obstacle.empty()) obstacle = swept.obstacle;
    done = swept.survivors.empty() && (kernel_knows || co_await stays_quiet());
    done = done || Clock::now() >= until;
  }
  seen.saw = swept.survivors.empty() ? stop::Saw::done : stop::Saw::refused;
  seen.detail += std::to_string(ended) + (ended == 1 ? " process ended" : " processes ended");
  if (!swept.survivors.empty() && !obstacle.empty()) seen.detail += "; " + obstacle;
  co_return seen;
}

void RunStop::note_ended(const std::vector<contain::Member>& members) {
  strays_.insert(strays_.end(), members.begin(), members.end());
}

Task<stop::Seen> RunStop::prove(Deadline until) {
  stop::Seen seen;
  // What lingers while its memory is torn down is waited for, not called a leak.
  for (;;) {
    const bool proved = co_await prove_once(until);
    if (proved) {
      seen.saw = stop::Saw::done;
      seen.detail = "nothing of the VM is left";
      co_return seen;
    }
    if (Clock::now() + milliseconds{50} >= until) break;
    co_await pause_until(Clock::now() + milliseconds{50});
  }
  seen.detail = notes_.doubt;
  co_return seen;
}

namespace {

Json evidence_line(std::string oracle, std::string says) {
  Json line = Json::object();
  line["oracle"] = std::move(oracle);
  line["says"] = std::move(says);
  return line;
}

std::string listed(const std::vector<contain::Member>& members) {
  std::string text =
      std::to_string(members.size()) + (members.size() == 1 ? " process" : " processes") + " still alive:";
  for (const contain::Member& m : members) {
    text += " " + m.name + " (pid " + std::to_string(m.identity.pid) + ", state " + m.state + ")";
  }
  return text;
}

}  // namespace

// Without the agent's ECHILD and without a cgroup, a process that starts the next and exits can slip through a look. It
// cannot slip through many; and each that exits is reaped by this daemon, which its dead agent's orphans belong to.
Task<bool> RunStop::stays_quiet() {
  constexpr int looks = 12;
  const std::size_t reaped = surroundings_.endings.total();
  for (int look = 0; look < looks; ++look) {
    co_await pause_until(Clock::now() + milliseconds{20});
    auto found = co_await run_->members();
    if (!found || !found->empty()) {
      notes_.doubt = found ? listed(*found) : found.error().what;
      if (found) notes_.survivors = *std::move(found);
      co_return false;
    }
  }
  if (surroundings_.endings.total() == reaped) co_return true;
  notes_.doubt = "orphans of the VM still come and go";
  co_return false;
}

// When a VM has ended by itself, the init of its pid namespace is still there, and would be for good.
void RunStop::end_init(const os::Identity& init) {
  auto process = os::Process::open(init);
  auto killed = process ? process->signal(os::Signal::kill) : std::unexpected(process.error());
  if (!killed && killed.error().code != Code::gone) surroundings_.log.warning(killed.error().what);
}

Task<bool> RunStop::proved_by_quiet() {
  const bool quiet = co_await stays_quiet();
  if (!quiet) co_return false;
  notes_.evidence.push_back(
      evidence_line("twelve more looks in 240 ms",
                    "nobody came or went; weaker than the kernel's word: who cleared his environment is not seen"));
  co_return true;
}

// Without the agent that was born with it, whoever holds the run's lock is of the VM.
bool RunStop::proved_by_lock() {
  const auto lock = run_->lock_state();
  if (!lock || *lock == Run::Lock::held) {
    notes_.doubt = lock ? "nobody can be found, but somebody holds the run's lock: " + run_->paths().run_lock.string()
                        : lock.error().what;
    return false;
  }
  notes_.evidence.push_back(evidence_line("kernel, of the run's lock", "nobody holds it"));
  return true;
}

Task<bool> RunStop::prove_once(Deadline until) {
  notes_.evidence = Json::array();
  notes_.survivors.clear();
  const auto view = run_->ledger();
  if (!view) {
    notes_.doubt = view.error().what;
    co_return false;
  }
  auto found = co_await run_->members();
  if (!found) {
    notes_.doubt = found.error().what;
    co_return false;
  }
  if (!found->empty()) {
    if (contain::only_init(run_->known(), *found)) end_init(found->front().identity);
    notes_.doubt = listed(*found);
    notes_.survivors = *std::move(found);
    co_return false;
  }
  const std::string count = std::to_string(view->processes.size()) + " recorded identities";
  notes_.evidence.push_back(evidence_line("census by ledger, process group, run mark and descent",
                                          "no process is alive; " + count + " looked up"));
  const auto verdict = contain::kernel_verdict(run_->known());
  if (!verdict) {
    notes_.doubt = verdict.error().what;
    co_return false;
  }
  if (*verdict) {
    notes_.evidence.push_back(evidence_line((*verdict)->oracle, (*verdict)->says));
    if (!(*verdict)->empty) {
      notes_.doubt = (*verdict)->oracle + ": " + (*verdict)->says;
      co_return false;
    }
  }
  if (!run_->agent_alive()) {
    if (!*verdict && !co_await proved_by_quiet()) co_return false;
    if (!proved_by_lock()) co_return false;
    notes_.evidence.push_back(evidence_line("agent", "dead, by its identity"));
    co_return true;
  }
  auto proved = co_await run_->call("/v1/prove", timeout_body(until), until);
  if (!proved) {
    notes_.doubt = "the agent cannot prove it: " + proved.error().what;
    co_return false;
  }
  const bool took_over = on(flag_or(*proved, "took_over", Flag::off));
  const bool childless = string_or(*proved, "children") == "none";
  if (!childless || !proved->value("members", Json::array()).empty()) {
    notes_.doubt = "the agent still has children";
    co_return false;
  }
  if (!took_over) {
    notes_.evidence.push_back(evidence_line("kernel, asked by the agent as subreaper", "no child is left (ECHILD)"));
  } else if (!proved_by_lock() || (!*verdict && !co_await proved_by_quiet())) {
    co_return false;
  }
  const Json inspected = proved->value("inspect", Json::object());
  const std::string state = string_or(inspected, "state", "not asked");
  if (state == "running") {
    notes_.doubt = "the driver says that the VM still runs";
    co_return false;
  }
  notes_.evidence.push_back(evidence_line("driver", state));
  co_return true;
}

Task<stop::Seen> RunStop::clean(Deadline until) {
  co_await dismiss_agent(until);
  stop::Seen seen;
  if (run_->agent_alive()) {
    seen.detail =
        "the agent, pid " + std::to_string(run_->agent_identity()->pid) + ", does not end: everything is kept";
    co_return seen;
  }
  const auto removed = remove_artifacts();
  seen.saw = removed ? stop::Saw::done : stop::Saw::refused;
  seen.detail = removed ? "nothing is left behind" : removed.error().what;
  co_return seen;
}

// The agent's part in the cleaning, and its end. What it does not do in time it is killed for: the VM is proved gone.
Task<void> RunStop::dismiss_agent(Deadline until) {
  if (!run_->agent_alive()) co_return;
  const Deadline half = Clock::now() + (until - Clock::now()) / 3;
  auto cleaned = co_await run_->call("/v1/cleanup", timeout_body(half), half);
  if (!cleaned && cleaned.error().code != Code::invalid) {
    surroundings_.log.warning("clean up '" + run_->beginning().vm + "': " + cleaned.error().what);
  }
  auto exiting = co_await run_->call("/v1/exit", Json::object(), half);
  const bool gone = exiting && co_await run_->agent_exited_by(half);
  if (gone || !run_->agent_alive()) co_return;
  surroundings_.log.warning("agent of '" + run_->beginning().vm + "' did not exit when told to: killing it");
  if (auto killed = run_->kill_agent(); !killed) surroundings_.log.warning(killed.error().what);
  static_cast<void>(co_await run_->agent_exited_by(until));
}

Result<void> RunStop::remove_artifacts() {
  TRY(const store::LedgerView view, run_->ledger());
  bool all = true;
  const std::filesystem::path root = run_->beginning().runtime_directory;
  for (auto it = view.artifacts.rbegin(); it != view.artifacts.rend(); ++it) {
    if (it->persistent) continue;
    failpoint("clean");
    const std::filesystem::path path = it->path;
    std::error_code error;
    const bool there = std::filesystem::exists(std::filesystem::symlink_status(path, error));
    std::string outcome = there ? "removed" : "absent";
    // A damaged or forged ledger must not make us remove what is not ours.
    const bool is_cgroup =
        it->kind == "cgroup" && path == run_->beginning().cgroup && path.filename() == run_->id().str();
    const bool inside =
        (path == root || path.parent_path() == root) && root.filename() == run_->id().str().substr(0, 8);
    if (!inside && !is_cgroup) {
      outcome = "kept: not in the run's directory";
    } else if (auto removed = is_cgroup                ? contain::Cgroup(path).remove()
                              : it->kind == "temp_dir" ? os::remove_tree(path)
                                                       : os::remove_entry(path);
               !removed) {
      outcome = "kept: " + removed.error().what;
    }
    all = all && !outcome.starts_with("kept");
    notes_.artifacts.push_back(Json{{"kind", it->kind}, {"path", it->path}, {"outcome", outcome}});
  }
  if (!all) return fail(Code::io, "some artifacts could not be removed");
  TRY(store::Ledger ledger, store::Ledger::open(run_->paths().ledger));
  CHECKED(ledger.append(store::record::end()));
  run_->release();
  return {};
}

namespace {

std::string how_ended(const store::RecordedProcess& process) {
  if (process.exit_signal.value_or(0) != 0) return "killed by signal " + std::to_string(*process.exit_signal);
  if (process.exit_code.value_or(-1) >= 0) return "exited with code " + std::to_string(*process.exit_code);
  const auto open = os::Process::open(process.identity);
  const bool alive = open && !open->exited();
  return alive ? "alive" : "gone";
}

}  // namespace

RunStop::Notes RunStop::notes() const {
  Notes notes = notes_;
  const auto view = run_->ledger();
  if (!view) return notes;
  for (const store::RecordedProcess& process : view->processes) {
    const std::string program = std::filesystem::path(process.program).filename().string();
    notes.processes.push_back(Json{{"role", store::name(process.role)},
                                   {"pid", process.identity.pid},
                                   {"name", program},
                                   {"ended", how_ended(process)}});
  }
  for (const contain::Member& stray : strays_) {
    const bool recorded = std::ranges::any_of(
        view->processes, [&](const store::RecordedProcess& p) { return p.identity == stray.identity; });
    if (recorded) continue;
    notes.processes.push_back(Json{{"role", "stray"},
                                   {"pid", stray.identity.pid},
                                   {"name", stray.name},
                                   {"ended", "killed"},
                                   {"found_by", stray.found_by}});
  }
  return notes;
}

}  // namespace bulkhead::daemon
