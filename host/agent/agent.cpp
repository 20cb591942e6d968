#include "agent/agent.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include "bulkhead/kill_semantics.hpp"

#include "api/agent_protocol.hpp"
#include "base/failpoint.hpp"
#include "catalogue/manifest.hpp"
#include "contain/containment.hpp"
#include "driver/loader.hpp"
#include "os/lock.hpp"

namespace bulkhead::agent {

namespace {

constexpr milliseconds default_timeout{30'000};
constexpr milliseconds longest_timeout{24LL * 3600 * 1000};
constexpr milliseconds longest_poll{60'000};
constexpr std::chrono::minutes patience_when_idle{1};
// Of a proof's time, what the driver's own `inspect` may use.
constexpr milliseconds inspect_time{1'000};

Deadline deadline_of(const Json& body) {
  const milliseconds wanted{integer_or(body, "timeout_ms", default_timeout.count())};
  return Clock::now() + std::clamp(wanted, milliseconds{0}, longest_timeout);
}

Json members_json(const std::vector<contain::Member>& members) {
  Json list = Json::array();
  for (const contain::Member& m : members) {
    list.push_back({{"identity", store::identity_json(m.identity)},
                    {"name", m.name},
                    {"state", std::string(1, m.state)},
                    {"found_by", m.found_by}});
  }
  return list;
}

bool good_artifact_name(const std::string& name) {
  return !name.empty() && name.size() <= 24 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string suffix_of(const std::string& kind) {
  if (kind == "unix_socket") return ".sock";
  if (kind == "log") return ".log";
  if (kind == "pid_file") return ".pid";
  return "";
}

}  // namespace

namespace {

Children::Place place_of(const store::Beginning& beginning, const std::filesystem::path& programs) {
  Children::Place place{.cgroup = beginning.cgroup};
  if (contain::mechanism_named(beginning.containment) == contain::Mechanism::pid_namespace) {
    place.init_program = (programs / "bulkhead-init").string();
  }
  return place;
}

}  // namespace

Agent::Agent(asio::io_context& context, store::VmPaths paths, store::Beginning beginning, store::Ledger ledger,
             os::Listener listener, os::UniqueHandle run_lock, const std::filesystem::path& programs, Came came,
             Log log)
    : context_(context),
      paths_(std::move(paths)),
      beginning_(std::move(beginning)),
      log_(std::move(log)),
      ledger_(std::move(ledger)),
      children_(beginning_.run, ledger_, std::move(run_lock), place_of(beginning_, programs)),
      scope_(context.get_executor(), log_),
      server_(
          std::move(listener), [this](api::Request r) { return handle(std::move(r)); }, api::Limits{}, scope_, log_),
      driver_thread_(context.get_executor()),
      child_signals_(context, SIGCHLD),
      took_over_(came == Came::later) {}

void Agent::run() {
  scope_.spawn("server", server_.serve());
  scope_.spawn("children", watch_children());
  scope_.spawn("idleness", watch_idleness());
  log_.info("agent of '" + beginning_.vm + "', run " + beginning_.run.str() + ", pid " + std::to_string(::getpid()));
  context_.run();
}

Task<api::Response> Agent::handle(api::Request request) {
  last_request_ = Clock::now();
  const std::string what = request.method + " " + request.path;
  auto answer = co_await dispatch(std::move(request));
  last_request_ = Clock::now();
  if (!answer) {
    log_.info(what + ": " + answer.error().what);
    co_return api::failure(answer.error());
  }
  api::Response response;
  response.body = *std::move(answer);
  co_return response;
}

Task<Result<Json>> Agent::dispatch(api::Request request) {
  const Deadline deadline = deadline_of(request.body);
  if (request.method == "GET" && request.path == "/v1/run") co_return describe();
  if (request.method == "GET" && request.path == "/v1/events") {
    CO_TRY(const std::uint64_t after, api::query_number(request, "after", 0));
    CO_TRY(const std::uint64_t wait_ms, api::query_number(request, "wait_ms", 0));
    const auto longest = static_cast<std::uint64_t>(longest_poll.count());
    const Deadline until = Clock::now() + milliseconds{std::min(wait_ms, longest)};
    auto events = co_await journal_.read(after, until);
    Json body = Json::object();
    body["events"] = std::move(events);
    co_return body;
  }
  if (request.method != "POST")
    co_return fail(Code::not_found, request.method + " " + request.path + ": no such resource");
  if (request.path == "/v1/start") co_return co_await start(deadline);
  if (request.path == "/v1/recover") co_return co_await recover(deadline);
  if (request.path == "/v1/ask") co_return co_await call_driver(driver::Operation::stop, Json::object(), deadline);
  if (request.path == "/v1/force") co_return co_await force(deadline);
  if (request.path == "/v1/prove") co_return co_await prove(deadline);
  if (request.path == "/v1/cleanup")
    co_return co_await call_driver(driver::Operation::cleanup, Json::object(), deadline);
  if (request.path == "/v1/exit") {
    exit_soon();
    co_return Json::object();
  }
  co_return fail(Code::not_found, "POST " + request.path + ": no such resource");
}

Json Agent::describe() const {
  Json json{{"vm", beginning_.vm},
            {"run", beginning_.run.str()},
            {"pid", ::getpid()},
            {"version", BULKHEAD_VERSION},
            {"protocol", api::agent_protocol},
            {"leader_alive", children_.leader_alive()},
            {"to_recover", took_over_ && !recovering_}};
  if (const auto operation = driver_thread_.running()) json["operation"] = *operation;
  return json;
}

// On the driver thread: what a library does when it is loaded is the driver's doing too.
Result<void> Agent::load_driver() {
  if (instance_) return {};
  TRY(const bulkhead_entry* entry, driver::load(beginning_.driver_library));
  TRY(const Json compiled, catalogue::describe(*entry->descriptor));
  if (compiled != beginning_.manifest) {
    return fail(Code::incompatible,
                "load driver '" + beginning_.driver_library + "': it is not what its driver.json says",
                "build or install the driver again");
  }
  driver::Identification identification{
      .vm_id = beginning_.vm, .run_id = beginning_.run.str(), .vm_directory = paths_.driver_directory.string()};
  instance_ = std::make_unique<driver::Instance>(*entry, std::move(identification), *this, log_.level());
  return {};
}

Task<Result<Json>> Agent::call_driver(driver::Operation operation, Json arguments, Deadline deadline) {
  const std::string operation_name = driver::name(operation);
  DriverThread::Work work = [this, operation, arguments = std::move(arguments)](
                                const std::shared_ptr<driver::OperationControl>& control) -> Result<Json> {
    if (!instance_) return fail(Code::invalid, std::string(driver::name(operation)) + ": the driver is not loaded");
    return instance_->call(operation, arguments, control);
  };
  co_return co_await driver_thread_.run(operation_name, std::move(work), deadline);
}

namespace {

// The driver's list of problems as one error, or nothing when it found none.
std::optional<Error> problems_in(const Json& reply) {
  const Json list = reply.value("problems", Json::array());
  if (!list.is_array() || list.empty()) return std::nullopt;
  Error error{.code = Code::invalid, .what = "check the configuration: the driver refuses it"};
  for (const Json& p : list) {
    if (p.is_object())
      error.problems.push_back({string_or(p, "pointer"), string_or(p, "reason"), string_or(p, "hint")});
  }
  return error;
}

}  // namespace

Task<Result<Json>> Agent::start(Deadline deadline) {
  DriverThread::Work work = [this](const std::shared_ptr<driver::OperationControl>& control) -> Result<Json> {
    CHECKED(load_driver());
    auto spec = store::parse_spec(beginning_.spec, paths_.directory);
    if (!spec) return std::unexpected(spec.error());
    const Json arguments = store::driver_arguments(*spec);
    CHECKED(instance_->call(driver::Operation::open, arguments, control));
    TRY(const Json checked, instance_->call(driver::Operation::validate, arguments, control));
    if (auto problems = problems_in(checked)) return std::unexpected(*std::move(problems));
    TRY(Json reply, instance_->call(driver::Operation::start, Json::object(), control));
    CHECKED(ledger_.append(store::record::started(reply)));
    return reply;
  };
  std::string name = "start";
  co_return co_await driver_thread_.run(std::move(name), std::move(work), deadline);
}

Task<Result<Json>> Agent::recover(Deadline deadline) {
  if (!took_over_ || recovering_) co_return fail(Code::invalid, "take over the VM: this agent has it already");
  recovering_ = true;
  CO_TRY(const store::LedgerView view, store::Ledger::read(paths_.ledger));
  CO_TRY(const std::vector<std::uint64_t> living, children_.adopt(view));
  for (const std::uint64_t child : living) scope_.spawn("watch child", watch_adopted(child));
  Json state = view.driver_state;
  const std::uint64_t leader = children_.leader();
  DriverThread::Work work = [this, state = std::move(state),
                             leader](const std::shared_ptr<driver::OperationControl>& control) -> Result<Json> {
    CHECKED(load_driver());
    TRY(const store::VmSpec spec, store::parse_spec(beginning_.spec, paths_.directory));
    CHECKED(instance_->call(driver::Operation::open, store::driver_arguments(spec), control));
    const Json arguments{{"leader", leader}, {"state", state}};
    return instance_->call(driver::Operation::recover, arguments, control);
  };
  std::string name = "recover";
  co_return co_await driver_thread_.run(std::move(name), std::move(work), deadline);
}

Task<void> Agent::watch_adopted(std::uint64_t child) {
  auto exited = co_await children_.process(child).exit(context_.get_executor());
  if (!exited) {
    log_.error(exited.error().what);
    co_return;
  }
  children_.lost(child);
}

Task<Result<Json>> Agent::force(Deadline deadline) {
  failpoint("force");
  // First the seal: what is killed must not be started again by a start that still runs.
  children_.seal();
  driver_thread_.cancel();
  const std::uint32_t forced =
      value_of(forced_names, string_or(beginning_.manifest.value("kill", Json::object()), "forced"));
  if (forced == BULKHEAD_FORCED_DRIVER_CALL) {
    auto called = co_await call_driver(driver::Operation::force_stop, Json::object(), deadline);
    if (!called) co_return std::unexpected(called.error());
  }
  const contain::Known known = children_.known();
  std::vector<contain::Member> ended;
  contain::Sweep swept;
  // Who exits at each look can be missed by all of them. Nobody can be missed by the kernel's word that we, whose
  // children all orphans become, have no child.
  milliseconds pause{0};
  for (;;) {
    std::function<contain::Sweep()> work = [known, deadline] { return contain::sweep(known, deadline); };
    swept = co_await on_thread(pool_.get_executor(), std::move(work));
    std::ranges::copy(swept.ended, std::back_inserter(ended));
    note_exits();
    if (!swept.survivors.empty() || os::children() == os::Children::none || Clock::now() >= deadline) break;
    // A child that nobody can end, such as a zombie that is traced, is not looked for without a breath.
    pause = swept.ended.empty() ? std::min(pause * 2 + milliseconds{1}, milliseconds{100}) : milliseconds{0};
    co_await pause_until(std::min(deadline, Clock::now() + pause));
  }
  Json json = Json::object();
  json["ended"] = members_json(ended);
  json["survivors"] = members_json(swept.survivors);
  if (!swept.obstacle.empty()) json["obstacle"] = swept.obstacle;
  co_return json;
}

Task<Result<Json>> Agent::prove(Deadline deadline) {
  const contain::Known known = children_.known();
  std::function<Result<std::vector<contain::Member>>()> work = [known] { return contain::members(known); };
  auto members = co_await on_thread(pool_.get_executor(), std::move(work));
  if (!members) co_return std::unexpected(members.error());
  note_exits();
  Json json = Json::object();
  json["members"] = members_json(*members);
  json["children"] = os::children() == os::Children::none ? "none" : "some";
  json["took_over"] = took_over_;
  if (!driver_thread_.running() && instance_) {  // in this order: a call that runs may be making it
    const Deadline until = std::min(deadline, Clock::now() + inspect_time);
    auto inspected = co_await call_driver(driver::Operation::inspect, Json::object(), until);
    json["inspect"] = inspected ? *inspected : Json{{"state", "unknown"}, {"error", inspected.error().what}};
  }
  co_return json;
}

void Agent::note_exits() {
  for (const Children::Exited& exited : children_.reap()) {
    if (auto written = ledger_.append(store::record::exited(exited.identity, exited.code, exited.signal)); !written) {
      log_.error(written.error().what);
    }
    Json detail{{"role", store::name(exited.role)},
                {"pid", exited.identity.pid},
                {"code", exited.code},
                {"signal", exited.signal}};
    journal_.add("process-exited", std::move(detail));
  }
}

Task<void> Agent::watch_children() {
  auto token = asio::as_tuple(asio::use_awaitable);
  for (;;) {
    note_exits();
    auto waited = co_await child_signals_.async_wait(token);
    if (std::get<0>(waited)) co_return;
  }
}

// What is left of the run when its leader is gone, only its subreaper can tell, where no cgroup or namespace does.
bool Agent::needed() const {
  const bool kernel_tells = contain::mechanism_named(beginning_.containment) != contain::Mechanism::process_group;
  const bool left = !kernel_tells && os::children() == os::Children::some;
  return children_.leader_alive() || driver_thread_.running() || left;
}

Task<void> Agent::watch_idleness() {
  while (!exiting_) {
    const Deadline until = last_request_ + patience_when_idle;
    co_await pause_until(std::max(until, Clock::now() + milliseconds{100}));
    if (Clock::now() < last_request_ + patience_when_idle || needed()) {
      if (Clock::now() >= last_request_ + patience_when_idle) co_await pause_until(Clock::now() + patience_when_idle);
      continue;
    }
    log_.info("nothing runs and nobody asks: exiting");
    exit_soon();
  }
}

void Agent::exit_soon() {
  if (exiting_) return;
  exiting_ = true;
  server_.close();
  journal_.close();
  scope_.spawn("exit", leave());
}

// The answer to the request that asked for it goes out first. A driver call that hangs must not hold the exit up, so
// nothing is joined and no destructor of the driver's runs.
Task<void> Agent::leave() {
  co_await server_.drain(Clock::now() + milliseconds{500});
  log_.info("exit");
  std::_Exit(0);
}

void Agent::log(LogLevel level, const std::string& message) { log_.write(level, "driver: " + message); }

void Agent::emit(const std::string& event, const Json& detail) {
  if (!emitted_.allow(Clock::now())) return;
  log_.info("event " + event + " " + dump(detail));
  asio::post(context_, [this, event, detail] { journal_.add(event, detail); });
}

void Agent::progress(unsigned permille, const std::string& phase) {
  log_.debug("progress " + std::to_string(permille) + " " + phase);
}

Result<std::uint64_t> Agent::spawn(const Json& spec) {
  auto spawned = children_.spawn(spec);
  log_.info("spawn " + dump(spec.value("argv", Json::array())) + ": " +
            (spawned ? "child " + std::to_string(*spawned) : spawned.error().what));
  return spawned;
}

Result<driver::Services::Exit> Agent::child_wait(std::uint64_t child, milliseconds limit) {
  return children_.wait(child, limit);
}

Result<void> Agent::child_signal(std::uint64_t child, int signal) { return children_.signal(child, signal); }

Result<std::string> Agent::artifact(const std::string& kind, const std::string& name, driver::Kept kept) {
  const Json declared = beginning_.manifest.value("kill", Json::object()).value("artifact_kinds", Json::array());
  if (std::ranges::find(declared, Json(kind)) == declared.end()) {
    return fail(Code::invalid, "artifact '" + name + "': the driver does not declare the kind '" + kind + "'");
  }
  if (!good_artifact_name(name)) return fail(Code::invalid, "artifact '" + name + "': not a name of [a-z0-9-]{1,24}");
  const bool persistent = kept == driver::Kept::with_vm;
  const std::filesystem::path folder =
      persistent ? paths_.directory : std::filesystem::path(beginning_.runtime_directory);
  std::string path = (folder / (name + suffix_of(kind))).string();
  CHECKED(ledger_.append(store::record::artifact({.kind = kind, .path = path, .persistent = persistent})));
  return path;
}

Result<os::RawHandle> Agent::lock(const std::string& path, Sharing sharing) {
  CHECKED(ledger_.append(store::record::lock({.path = path, .shared = sharing == Sharing::shared})));
  const auto mode = sharing == Sharing::shared ? os::FileLock::Mode::shared : os::FileLock::Mode::exclusive;
  auto lock = os::FileLock::acquire(path, mode, os::FileLock::If::must_exist);
  if (!lock) {
    if (lock.error().code != Code::busy) return std::unexpected(lock.error());
    return fail(Code::busy, "use disk '" + path + "': another VM or process uses it",
                "stop the VM that uses this disk first");
  }
  locks_.push_back(*std::move(lock));
  return locks_.back().handle();
}

Result<void> Agent::save_state(const Json& state) {
  constexpr std::size_t most = 4U << 20;  // of all states of a run: the ledger is read whole
  saved_bytes_ += dump(state).size();
  if (saved_bytes_ > most) return fail(Code::unavailable, "save state: more than 4 MiB in one run");
  return ledger_.append(store::record::state(state));
}

}  // namespace bulkhead::agent
