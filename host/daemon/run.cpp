#include "daemon/run.hpp"

#include <algorithm>
#include <utility>

#include "bulkhead/kill_semantics.hpp"

#include "api/client.hpp"
#include "base/failpoint.hpp"
#include "contain/cgroup.hpp"
#include "os/endpoint.hpp"
#include "os/file.hpp"
#include "os/paths.hpp"

namespace bulkhead::daemon {

namespace {

// The directory of a run's sockets: short, since their paths are limited to 104 bytes.
std::filesystem::path run_directory(const Surroundings& surroundings, const RunId& run) {
  return surroundings.runtime_directory / run.str().substr(0, 8);
}

Json timeout_body(Deadline deadline) {
  Json body = Json::object();
  body["timeout_ms"] = remaining(deadline, Clock::now()).count();
  return body;
}

constexpr milliseconds answer_slack{1'500};  // outer time-outs exceed inner ones

}  // namespace

Run::Run(const Surroundings& surroundings, store::VmPaths paths, store::Beginning beginning,
         catalogue::KillSemantics kill)
    : surroundings_(surroundings), paths_(std::move(paths)), beginning_(std::move(beginning)), kill_(std::move(kill)) {}

Result<std::shared_ptr<Run>> Run::begin(const Surroundings& surroundings, const store::VmSpec& spec,
                                        const catalogue::Driver& driver) {
  const store::VmPaths paths = surroundings.store.paths(spec.name);
  auto lock = os::FileLock::acquire(paths.run_lock, os::FileLock::Mode::exclusive, os::FileLock::If::create);
  if (!lock) {
    Error error = lock.error();
    if (error.code == Code::busy)
      error.hint = "something of an earlier run still lives; see: bulkhead info " + spec.name.str();
    return std::unexpected(std::move(error));
  }
  TRY(const std::string boot, os::boot_id());
  const RunId id = RunId::random();
  store::Beginning beginning{.run = id,
                             .vm = spec.name.str(),
                             .boot_id = boot,
                             .runtime_directory = run_directory(surroundings, id).string(),
                             .cgroup = surroundings.containment.cgroup_base.empty()
                                           ? ""
                                           : (surroundings.containment.cgroup_base / id.str()).string(),
                             .driver_library = driver.library.string(),
                             .manifest = driver.manifest.document,
                             .spec = store::to_json(spec)};
  TRY(store::Ledger ledger, store::Ledger::create(paths.ledger, beginning));
  auto run = std::shared_ptr<Run>(new Run(surroundings, paths, std::move(beginning), driver.manifest.kill));
  run->lock_ = *std::move(lock);
  run->ledger_ = std::move(ledger);
  return run;
}

Result<std::shared_ptr<Run>> Run::resume(const Surroundings& surroundings, const VmName& name, store::LedgerView view) {
  const std::string& id = view.beginning->run.str();
  const std::filesystem::path cgroup = view.beginning->cgroup;
  const bool ours = view.beginning->vm == name.str() && (cgroup.empty() || cgroup.filename() == id) &&
                    std::filesystem::path(view.beginning->runtime_directory).filename() == id.substr(0, 8);
  if (!ours) return fail(Code::unknown, "read ledger of '" + name.str() + "': it names another run's places");
  TRY(catalogue::Manifest manifest, catalogue::parse_manifest(view.beginning->manifest));
  auto run = std::shared_ptr<Run>(
      new Run(surroundings, surroundings.store.paths(name), *view.beginning, std::move(manifest.kill)));
  if (const auto* agent = view.last_of(store::Role::agent)) {
    auto process = os::Process::open(agent->identity);
    if (process) {
      run->agent_ = *std::move(process);
    } else if (process.error().code != Code::gone) {
      return std::unexpected(process.error());  // it cannot be told whether it lives
    }
  }
  return run;
}

std::filesystem::path Run::socket() const { return std::filesystem::path(beginning_.runtime_directory) / "agent.sock"; }

Result<void> Run::start_agent() {
  const std::string& folder = beginning_.runtime_directory;
  CHECKED(ledger_->append(store::record::artifact({.kind = "temp_dir", .path = folder})));
  CHECKED(os::make_private_directory(folder));
  CHECKED(ledger_->append(store::record::artifact({.kind = "unix_socket", .path = socket().string()})));
  TRY(const os::UniqueHandle listener, os::listen_on(socket()));
  CHECKED(os::make_private_directory(paths_.driver_directory));
  if (!beginning_.cgroup.empty()) {
    CHECKED(ledger_->append(store::record::artifact({.kind = "cgroup", .path = beginning_.cgroup})));
    CHECKED(contain::Cgroup(beginning_.cgroup).create());
  }

  os::Spawn spawn;
  spawn.argv = {surroundings_.agent_program.string(),
                beginning_.vm,
                "--home",
                surroundings_.store.home().string(),
                "--run",
                beginning_.run.str(),
                "--socket",
                std::to_string(listener.get()),
                "--lock",
                std::to_string(lock_->handle()),
                "--log-level",
                std::string(name(surroundings_.log.level()))};
  for (const char* key :
       {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_RUNTIME_DIR", "ASAN_OPTIONS",
        "UBSAN_OPTIONS", "TSAN_OPTIONS", failpoint_variable, failpoint_mark_variable}) {
    if (auto value = os::environment(key)) spawn.env[key] = *std::move(value);
  }
  spawn.err = {.to = os::Output::To::file, .path = paths_.agent_log.string()};
  spawn.out = spawn.err;
  spawn.inherit = {listener.get(), lock_->handle()};
  spawn.place = os::Spawn::Place::own_session;
  CHECKED(ledger_->append(store::record::intent(store::Role::agent, spawn.argv[0])));
  TRY(agent_, os::spawn(spawn, [&](const os::Identity& identity) {
        return ledger_->append(store::record::process(store::Role::agent, identity, spawn.argv[0]));
      }));
  lock_.reset();
  ledger_.reset();
  return {};
}

std::optional<os::Identity> Run::agent_identity() const {
  if (!agent_) return std::nullopt;
  return agent_->identity();
}

Task<bool> Run::agent_answers() {
  if (!agent_alive()) co_return false;
  api::Request request{.method = "GET", .path = "/v1/run"};
  auto answer = co_await api::call(socket(), std::move(request), Clock::now() + milliseconds{3'000});
  if (!answer) co_return false;
  auto body = api::outcome(*std::move(answer));
  co_return body&& string_or(*body, "run") == beginning_.run.str();
}

Task<void> Run::agent_exit() {
  // A look that fails says nothing about the agent.
  while (agent_alive()) {
    auto exited = co_await agent_->exit(surroundings_.executor);
    if (exited) co_return;
    surroundings_.log.error(exited.error().what);
    co_await pause_until(Clock::now() + milliseconds{1'000});
  }
}

Task<void> Run::leader_exit() {
  for (;;) {
    const auto view = ledger();
    const auto* leader = view ? view->last_of(store::Role::leader) : nullptr;
    if (view && leader == nullptr) co_return;
    if (leader != nullptr) {
      const auto process = os::Process::open(leader->identity);
      if (process) {
        auto exited = co_await process->exit(surroundings_.executor);
        if (exited) co_return;
      } else if (process.error().code == Code::gone) {
        co_return;
      }
    }
    co_await pause_until(Clock::now() + milliseconds{1'000});
  }
}

Task<Result<Json>> Run::call(std::string path, Json body, Deadline deadline) {
  if (!agent_alive()) co_return fail(Code::unavailable, "call the agent: it is dead");
  api::Request request{.method = "POST", .path = std::move(path), .query = {}, .body = std::move(body)};
  const Deadline limit = deadline + answer_slack;
  auto answer = co_await api::call(socket(), std::move(request), limit);
  if (!answer) {
    // A connection breaks a moment before the kernel has ended the process, and before exit() has run its handlers.
    if (answer.error().code == Code::unavailable) {
      const Deadline patience = std::min(limit, Clock::now() + milliseconds{1'000});
      while (agent_alive() && Clock::now() < patience) co_await pause_until(Clock::now() + milliseconds{5});
    }
    if (!agent_alive()) {
      // How it died is known when it was reaped, a moment later; never, when an earlier daemon started it.
      const Deadline patience = Clock::now() + milliseconds{200};
      const std::int64_t pid = agent_->identity().pid;
      while (surroundings_.endings.of(pid).empty() && Clock::now() < patience) {
        co_await pause_until(Clock::now() + milliseconds{2});
      }
      co_return std::unexpected(agent_death());
    }
    co_return std::unexpected(answer.error());
  }
  co_return api::outcome(*std::move(answer));
}

// A driver that crashes takes its agent down, and only that.
Error Run::agent_death() const {
  std::string how = surroundings_.endings.of(agent_->identity().pid);
  if (!how.empty()) how = " (" + how + ")";
  return {.code = Code::unavailable,
          .what = "the agent died" + how + ": the driver crashed or exited, or somebody killed it",
          .hint = "see: " + paths_.agent_log.string()};
}

Task<Result<Json>> Run::events(std::uint64_t after, milliseconds wait) {
  const std::string query = "after=" + std::to_string(after) + "&wait_ms=" + std::to_string(wait.count());
  api::Request request{.method = "GET", .path = "/v1/events", .query = query};
  const Deadline limit = Clock::now() + wait + milliseconds{10'000};
  auto answer = co_await api::call(socket(), std::move(request), limit);
  if (!answer) co_return std::unexpected(answer.error());
  co_return api::outcome(*std::move(answer));
}

Result<store::LedgerView> Run::ledger() const { return store::Ledger::read(paths_.ledger); }

contain::Known Run::known() const {
  contain::Known known{.run = beginning_.run, .cgroup = beginning_.cgroup};
  const auto view = ledger();
  if (!view) return known;
  for (const store::RecordedProcess& process : view->processes) {
    if (process.role != store::Role::agent) known.recorded.push_back(process.identity);
  }
  if (const auto* leader = view->last_of(store::Role::leader)) known.leader = leader->identity;
  if (agent_alive()) known.guardian = agent_->identity();
  return known;
}

Task<Result<std::vector<contain::Member>>> Run::members() {
  const contain::Known known_now = known();
  std::function<Result<std::vector<contain::Member>>()> look = [known_now] { return contain::members(known_now); };
  co_return co_await on_thread(surroundings_.pool.get_executor(), std::move(look));
}

Task<stop::Seen> Run::perform(stop::Rung rung, Deadline until) {
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

Task<stop::Seen> Run::ask(Deadline until) {
  auto asked = co_await call("/v1/ask", timeout_body(until), until);
  stop::Seen seen;
  seen.saw = asked ? stop::Saw::done : stop::Saw::refused;
  seen.detail = asked ? "the VM ended" : asked.error().what;
  co_return seen;
}

Task<stop::Seen> Run::force(Deadline until) {
  auto forced = co_await call("/v1/force", timeout_body(until), until);
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

Task<stop::Seen> Run::kill_all(Deadline until) {
  stop::Seen seen;
  if (agent_alive()) {
    if (auto killed = agent_->signal(os::Signal::kill); !killed && killed.error().code != Code::gone) {
      seen.detail = killed.error().what;
      co_return seen;
    }
    if (!co_await agent_exited_by(until)) {
      seen.detail = "the agent, pid " + std::to_string(agent_->identity().pid) + ", does not die";
      co_return seen;
    }
    seen.detail = "agent killed; ";
  }
  if (kill_.declared.offline_stop != BULKHEAD_OFFLINE_CORE) {
    seen.detail += "the driver declares that the VM cannot be ended without it";
    co_return seen;
  }
  // In slices: a VM that does not die must not keep the pool's threads from the others.
  const contain::Known known_now = known();
  contain::Sweep swept;
  std::size_t ended = 0;
  do {
    const Deadline slice = std::min(until, Clock::now() + milliseconds{250});
    std::function<contain::Sweep()> work = [known_now, slice] { return contain::sweep(known_now, slice); };
    swept = co_await on_thread(surroundings_.pool.get_executor(), std::move(work));
    note_ended(swept.ended);
    ended += swept.ended.size();
  } while (!swept.survivors.empty() && Clock::now() < until);
  seen.saw = swept.survivors.empty() ? stop::Saw::done : stop::Saw::refused;
  seen.detail += std::to_string(ended) + (ended == 1 ? " process ended" : " processes ended");
  if (!swept.obstacle.empty()) seen.detail += "; " + swept.obstacle;
  co_return seen;
}

void Run::note_ended(const std::vector<contain::Member>& members) {
  strays_.insert(strays_.end(), members.begin(), members.end());
}

Task<bool> Run::agent_exited_by(Deadline until) {
  while (agent_alive() && Clock::now() < until) co_await pause_until(Clock::now() + milliseconds{2});
  co_return !agent_alive();
}

Task<stop::Seen> Run::prove(Deadline until) {
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
Task<bool> Run::stays_quiet() {
  constexpr int looks = 12;
  const std::size_t reaped = surroundings_.endings.total();
  for (int look = 0; look < looks; ++look) {
    co_await pause_until(Clock::now() + milliseconds{20});
    auto found = co_await members();
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

Task<bool> Run::prove_once(Deadline until) {
  notes_.evidence = Json::array();
  notes_.survivors.clear();
  const auto view = ledger();
  if (!view) {
    notes_.doubt = view.error().what;
    co_return false;
  }
  auto found = co_await members();
  if (!found) {
    notes_.doubt = found.error().what;
    co_return false;
  }
  if (!found->empty()) {
    notes_.doubt = listed(*found);
    notes_.survivors = *std::move(found);
    co_return false;
  }
  const std::string count = std::to_string(view->processes.size()) + " recorded identities";
  notes_.evidence.push_back(evidence_line("census by ledger, process group, run mark and descent",
                                          "no process is alive; " + count + " looked up"));
  if (!beginning_.cgroup.empty()) {
    const auto occupancy = contain::Cgroup(beginning_.cgroup).occupancy();
    if (!occupancy || *occupancy == contain::Cgroup::Occupancy::populated) {
      notes_.doubt = occupancy ? "the kernel says that the VM's cgroup is populated" : occupancy.error().what;
      co_return false;
    }
    notes_.evidence.push_back(evidence_line("kernel, of the VM's cgroup", "populated 0"));
  }
  if (!agent_alive() && beginning_.cgroup.empty()) {
    const bool quiet = co_await stays_quiet();
    if (!quiet) co_return false;
    notes_.evidence.push_back(evidence_line("twelve more looks in 240 ms", "nobody came or went"));
  }
  if (!agent_alive()) {
    notes_.evidence.push_back(evidence_line("agent", "dead, by its identity"));
    co_return true;
  }
  auto proved = co_await call("/v1/prove", timeout_body(until), until);
  if (!proved) {
    notes_.doubt = "the agent cannot prove it: " + proved.error().what;
    co_return false;
  }
  const bool childless = string_or(*proved, "children") == "none";
  if (!childless || !proved->value("members", Json::array()).empty()) {
    notes_.doubt = "the agent still has children";
    co_return false;
  }
  notes_.evidence.push_back(evidence_line("kernel, asked by the agent as subreaper", "no child is left (ECHILD)"));
  const Json inspected = proved->value("inspect", Json::object());
  const std::string state = string_or(inspected, "state", "not asked");
  if (state == "running") {
    notes_.doubt = "the driver says that the VM still runs";
    co_return false;
  }
  notes_.evidence.push_back(evidence_line("driver", state));
  co_return true;
}

Task<stop::Seen> Run::clean(Deadline until) {
  co_await dismiss_agent(until);
  stop::Seen seen;
  if (agent_alive()) {
    seen.detail = "the agent, pid " + std::to_string(agent_->identity().pid) + ", does not end: everything is kept";
    co_return seen;
  }
  const auto removed = remove_artifacts();
  seen.saw = removed ? stop::Saw::done : stop::Saw::refused;
  seen.detail = removed ? "nothing is left behind" : removed.error().what;
  co_return seen;
}

// The agent's part in the cleaning, and its end. What it does not do in time it is killed for: the VM is proved gone.
Task<void> Run::dismiss_agent(Deadline until) {
  if (!agent_alive()) co_return;
  const Deadline half = Clock::now() + (until - Clock::now()) / 3;
  auto cleaned = co_await call("/v1/cleanup", timeout_body(half), half);
  if (!cleaned && cleaned.error().code != Code::invalid) {
    surroundings_.log.warning("clean up '" + beginning_.vm + "': " + cleaned.error().what);
  }
  auto exiting = co_await call("/v1/exit", Json::object(), half);
  const bool gone = exiting && co_await agent_exited_by(half);
  if (gone || !agent_alive()) co_return;
  surroundings_.log.warning("agent of '" + beginning_.vm + "' did not exit when told to: killing it");
  if (auto killed = agent_->signal(os::Signal::kill); !killed) surroundings_.log.warning(killed.error().what);
  static_cast<void>(co_await agent_exited_by(until));
}

Result<void> Run::remove_artifacts() {
  TRY(const store::LedgerView view, ledger());
  bool all = true;
  const std::filesystem::path root = beginning_.runtime_directory;
  for (auto it = view.artifacts.rbegin(); it != view.artifacts.rend(); ++it) {
    if (it->persistent) continue;
    failpoint("clean");
    const std::filesystem::path path = it->path;
    std::error_code error;
    const bool there = std::filesystem::exists(std::filesystem::symlink_status(path, error));
    std::string outcome = there ? "removed" : "absent";
    // A damaged or forged ledger must not make us remove what is not ours.
    const bool is_cgroup = it->kind == "cgroup" && path == beginning_.cgroup && path.filename() == id().str();
    const bool inside = (path == root || path.parent_path() == root) && root.filename() == id().str().substr(0, 8);
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
  TRY(store::Ledger ledger, store::Ledger::open(paths_.ledger));
  CHECKED(ledger.append(store::record::end()));
  ledger_.reset();
  lock_.reset();
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

Run::Notes Run::notes() const {
  Notes notes = notes_;
  const auto view = ledger();
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
