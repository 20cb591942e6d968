#include "daemon/run.hpp"

#include <utility>

#include "api/agent_protocol.hpp"
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
                             .pid_namespace = os::PidNamespace::own_id().value_or(0),
                             .runtime_directory = run_directory(surroundings, id).string(),
                             .containment = std::string(contain::name(surroundings.containment.mechanism)),
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
  if (!contain::mechanism_named(view.beginning->containment)) {
    return fail(Code::unknown,
                "read ledger of '" + name.str() + "': unknown containment '" + view.beginning->containment + "'");
  }
  const bool ours = view.beginning->vm == name.str() && (cgroup.empty() || cgroup.filename() == id) &&
                    std::filesystem::path(view.beginning->runtime_directory).filename() == id.substr(0, 8);
  if (!ours) return fail(Code::unknown, "read ledger of '" + name.str() + "': it names another run's places");
  TRY(catalogue::Manifest manifest, catalogue::parse_manifest(view.beginning->manifest));
  auto run = std::shared_ptr<Run>(
      new Run(surroundings, surroundings.store.paths(name), *view.beginning, std::move(manifest.kill)));
  // Where its pids mean nothing, nobody of it can be seen. When nobody lives either, that does not matter.
  const std::uint64_t theirs = view.beginning->pid_namespace;
  if (theirs != 0 && theirs != os::PidNamespace::own_id()) {
    TRY(const Lock lock, run->lock_state());
    if (lock == Lock::held) {
      return fail(Code::unknown, "the run of '" + name.str() + "' lives in another pid namespace (a container?)",
                  "stop it from there");
    }
  }
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
  for (const auto& [kind, path] :
       {std::pair{"log", paths_.agent_log}, std::pair{"directory", paths_.driver_directory}}) {
    CHECKED(ledger_->append(store::record::artifact({.kind = kind, .path = path.string(), .persistent = true})));
  }
  CHECKED(os::make_private_directory(paths_.driver_directory));
  if (!beginning_.cgroup.empty()) {
    CHECKED(ledger_->append(store::record::artifact({.kind = "cgroup", .path = beginning_.cgroup})));
    const contain::Cgroup cgroup(beginning_.cgroup);
    CHECKED(cgroup.create());
    TRY(const std::string mark, surroundings_.store.mark());
    if (auto signed_now = cgroup.sign(mark); !signed_now) surroundings_.log.warning(signed_now.error().what);
  }

  return launch_agent();
}

// Under the lock and with the ledger open; it has both afterwards.
Result<void> Run::launch_agent() {
  TRY(const os::UniqueHandle listener, os::listen_on(socket()));
  const LogSettings log = surroundings_.log.settings();
  os::Spawn spawn;
  spawn.argv = {surroundings_.agent_program.string(),
                beginning_.vm,
                "--home",
                surroundings_.store.home().string(),
                "--run",
                beginning_.run.str(),
                "--socket",
                std::to_string(listener.get()),
                "--log-level",
                std::string(name(log.level)),
                "--log-format",
                std::string(name(log.format)),
                "--log-max-size",
                std::to_string(count(log.max_size)),
                "--log-keep",
                std::to_string(log.keep)};
  spawn.inherit = {listener.get()};
  if (lock_) {
    spawn.argv.insert(spawn.argv.end(), {"--lock", std::to_string(lock_->handle())});
    spawn.inherit.push_back(lock_->handle());
  }
  for (const char* key :
       {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_RUNTIME_DIR", "ASAN_OPTIONS",
        "UBSAN_OPTIONS", "TSAN_OPTIONS", failpoint_variable, failpoint_mark_variable}) {
    if (auto value = os::environment(key)) spawn.env[key] = *std::move(value);
  }
  // What a driver starts behind our back, or leaves when it crashes, has the agent's environment.
  spawn.env[contain::run_variable] = beginning_.run.str();
  // Without it the run could not be told from another home's, if its ledger were lost.
  if (auto mark = surroundings_.store.mark()) {
    spawn.env[contain::home_variable] = *std::move(mark);
  } else {
    surroundings_.log.warning(mark.error().what);
  }
  spawn.err = {.to = os::Output::To::file, .path = paths_.agent_log.string()};
  spawn.out = spawn.err;
  spawn.place = os::Spawn::Place::own_session;
  CHECKED(ledger_->append(store::record::intent(store::Role::agent, spawn.argv[0])));
  TRY(agent_, os::spawn(spawn, [&](const os::Identity& identity) {
        return ledger_->append(store::record::process(store::Role::agent, identity, spawn.argv[0]));
      }));
  lock_.reset();
  ledger_.reset();
  greeted_ = false;
  agent_version_.clear();
  return {};
}

Task<Result<Json>> Run::replace_agent(Deadline deadline) {
  if (agent_alive()) co_return fail(Code::busy, "replace the agent: it is alive");
  CO_TRY(ledger_, store::Ledger::open(paths_.ledger));
  if (auto launched = launch_agent(); !launched) {
    ledger_.reset();
    co_return std::unexpected(launched.error());
  }
  failpoint("take_over");
  co_return co_await call("/v1/recover", timeout_body(deadline), deadline);
}

std::optional<os::Identity> Run::agent_identity() const {
  if (!agent_) return std::nullopt;
  return agent_->identity();
}

Task<Result<Json>> Run::greet_agent(Deadline limit) {
  api::Request request{.method = "GET", .path = "/v1/run"};
  auto answer = co_await api::call(socket(), std::move(request), limit);
  if (!answer) co_return std::unexpected(answer.error());
  auto body = api::outcome(*std::move(answer));
  if (!body) co_return body;
  if (string_or(*body, "run") != beginning_.run.str()) co_return fail(Code::foreign, "the agent is of another run");
  agent_version_ = string_or(*body, "version");
  const auto protocol = integer_or(*body, "protocol", 1);
  if (protocol < api::oldest_agent_protocol || protocol > api::agent_protocol) {
    co_return fail(Code::incompatible,
                   "its agent, version " + agent_version_ + ", speaks protocol " + std::to_string(protocol) +
                       ", which this version of bulkheadd does not: it can only be stopped by force",
                   "use the version of bulkheadd that started it");
  }
  greeted_ = true;
  co_return body;
}

Task<bool> Run::agent_answers() {
  agent_trouble_.clear();
  if (!agent_alive()) co_return false;
  auto body = co_await greet_agent(Clock::now() + milliseconds{3'000});
  if (!body) {
    agent_trouble_ = body.error().what;
    co_return false;
  }
  if (on(flag_or(*body, "to_recover", Flag::off))) {
    const Deadline deadline = Clock::now() + milliseconds{20'000};
    auto recovered = co_await call("/v1/recover", timeout_body(deadline), deadline);
    if (!recovered) surroundings_.log.error("take over '" + beginning_.vm + "': " + recovered.error().what);
  }
  co_return true;
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
  api::Request request{.method = "POST", .path = std::move(path), .body = std::move(body)};
  const Deadline limit = deadline + answer_slack;
  Result<api::Response> answer = fail(Code::unavailable, "not asked");
  // The programs may have been replaced since this daemon was started.
  auto greeted = co_await greet_once(limit);
  if (greeted) {
    answer = co_await api::call(socket(), std::move(request), limit);
  } else {
    answer = std::unexpected(greeted.error());
  }
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

Task<Result<void>> Run::greet_once(Deadline limit) {
  if (greeted_) co_return Result<void>{};
  auto body = co_await greet_agent(limit);
  if (!body) co_return std::unexpected(body.error());
  co_return Result<void>{};
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
  api::Request request{.method = "GET", .path = "/v1/events"};
  request.query = {{"after", std::to_string(after)}, {"wait_ms", std::to_string(wait.count())}};
  const Deadline limit = Clock::now() + wait + milliseconds{10'000};
  auto greeted = co_await greet_once(limit);
  if (!greeted) co_return std::unexpected(greeted.error());
  auto answer = co_await api::call(socket(), std::move(request), limit);
  if (!answer) co_return std::unexpected(answer.error());
  co_return api::outcome(*std::move(answer));
}

Result<store::LedgerView> Run::ledger() const { return store::Ledger::read(paths_.ledger); }

contain::Known Run::known() const {
  contain::Known known{.run = beginning_.run, .cgroup = beginning_.cgroup};
  if (agent_alive()) known.guardian = agent_->identity();
  const auto view = ledger();
  if (!view) return known;
  for (const store::RecordedProcess& process : view->processes) {
    if (process.role != store::Role::agent) known.recorded.push_back(process.identity);
  }
  if (const auto* leader = view->last_of(store::Role::leader)) known.leader = leader->identity;
  if (const auto* init = view->last_of(store::Role::init)) known.init = init->identity;
  return known;
}

Result<void> Run::kill_agent() {
  auto killed = agent_->signal(os::Signal::kill);
  if (!killed && killed.error().code == Code::gone) return {};
  return killed;
}

Task<bool> Run::agent_exited_by(Deadline until) {
  while (agent_alive() && Clock::now() < until) co_await pause_until(Clock::now() + milliseconds{2});
  co_return !agent_alive();
}

Result<Run::Lock> Run::lock_state() const {
  if (lock_) return Lock::free;  // ours: nobody was started
  auto lock = os::FileLock::acquire(paths_.run_lock, os::FileLock::Mode::exclusive, os::FileLock::If::must_exist);
  if (lock || lock.error().code == Code::not_found) return Lock::free;
  if (lock.error().code == Code::busy) return Lock::held;
  return std::unexpected(lock.error());
}

void Run::release() {
  ledger_.reset();
  lock_.reset();
}

Task<Result<std::vector<contain::Member>>> Run::members() {
  const contain::Known known_now = known();
  std::function<Result<std::vector<contain::Member>>()> look = [known_now] { return contain::members(known_now); };
  co_return co_await on_thread(surroundings_.pool.get_executor(), std::move(look));
}

}  // namespace bulkhead::daemon
