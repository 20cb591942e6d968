#include "daemon/daemon.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/suggest.hpp"
#include "base/timestamp.hpp"

namespace bulkhead::daemon {

namespace {

constexpr milliseconds start_time{120'000};
constexpr milliseconds end_time{120'000};
constexpr milliseconds longest{24LL * 3600 * 1000};

Deadline deadline_of(const Json& body, milliseconds otherwise) {
  const milliseconds wanted{integer_or(body, "timeout_ms", otherwise.count())};
  return Clock::now() + std::clamp(wanted, milliseconds{1}, longest);
}

Task<void> stop_quietly(std::shared_ptr<Vm> vm, Log log, std::shared_ptr<std::size_t> left,
                        std::shared_ptr<Event> done) {
  const StopRequest request;
  auto stopped = co_await vm->stop(request);
  if (!stopped) log.warning(stopped.error().what);
  --*left;
  done->notify();
}

Task<void> recover_quietly(std::shared_ptr<Vm> vm, std::shared_ptr<std::size_t> left, std::shared_ptr<Event> done) {
  co_await vm->recover();
  --*left;
  done->notify();
}

}  // namespace

Daemon::Daemon(const Surroundings& surroundings) : surroundings_(surroundings), started_at_(timestamp_now()) {}

Task<void> Daemon::open() {
  auto names = surroundings_.store.list();
  if (!names) {
    surroundings_.log.error(names.error().what);
    co_return;
  }
  auto left = std::make_shared<std::size_t>(0);
  auto done = std::make_shared<Event>();
  for (const VmName& name : *names) {
    auto record = surroundings_.store.load(name);
    if (!record) {
      surroundings_.log.error(record.error().what);
      unreadable_.emplace(name, record.error().what);
      continue;
    }
    auto vm = std::make_shared<Vm>(surroundings_, *std::move(record));
    vms_.emplace(name, vm);
    ++*left;
    surroundings_.scope.spawn("recover " + name.str(), recover_quietly(vm, left, done));
  }
  while (*left > 0) co_await done->wait(Deadline::max());  // each is bounded by itself
}

Task<api::Response> Daemon::handle(api::Request request) {
  const std::string what = request.method + " " + request.path;
  auto answer = co_await dispatch(std::move(request));
  if (!answer) {
    surroundings_.log.info(what + ": " + answer.error().what);
    co_return api::failure(answer.error());
  }
  api::Response response;
  response.body = *std::move(answer);
  co_return response;
}

Task<Result<Json>> Daemon::dispatch(api::Request request) {
  const std::string what = request.method + " " + request.path;
  if (what == "GET /v1/host") co_return describe();
  if (what == "POST /v1/host/stop") co_return co_await stop_host(std::move(request.body));
  if (what == "GET /v1/vms") co_return list();
  if (what == "POST /v1/vms") co_return create(request.body);
  if (what == "GET /v1/drivers") co_return drivers();
  const std::string prefix = "/v1/vms/";
  if (request.path.starts_with(prefix)) {
    const std::string rest = request.path.substr(prefix.size());
    const auto slash = rest.find('/');
    std::string name = rest.substr(0, slash);
    std::string verb = slash == std::string::npos ? "" : rest.substr(slash + 1);
    std::string method = request.method;
    co_return co_await dispatch_vm(std::move(method), std::move(name), std::move(verb), std::move(request));
  }
  co_return fail(Code::not_found, what + ": no such resource");
}

Task<Result<Json>> Daemon::dispatch_vm(std::string method, std::string name, std::string verb, api::Request request) {
  auto vm = find(name);
  if (!vm) co_return std::unexpected(vm.error());
  if (method == "GET" && verb.empty()) co_return (*vm)->info();
  if (method == "POST" && verb == "start") co_return co_await start(*vm, std::move(request.body));
  if (method == "POST" && verb == "stop") co_return co_await stop(*vm, std::move(request.body));
  if (method == "DELETE" && verb.empty()) {
    const Flag force = api::query_value(request, "force") == "true" ? Flag::on : Flag::off;
    co_return co_await remove(*vm, force);
  }
  co_return fail(Code::not_found, method + " " + request.path + ": no such resource");
}

Result<std::shared_ptr<Vm>> Daemon::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& [known, vm] : vms_) {
    if (known.str() == name) return vm;
    names.push_back(known.str());
  }
  for (const auto& [known, why] : unreadable_) {
    if (known.str() == name) return fail(Code::invalid, "VM '" + name + "' is lost: " + why);
  }
  const auto meant = suggest(name, names);
  return fail(Code::not_found, "no VM '" + name.substr(0, 80) + "'",
              meant ? "did you mean '" + *meant + "'?" : "see: bulkhead list");
}

namespace {

Error refused(std::vector<Problem> problems) {
  const std::string count = problems.size() == 1 ? "1 problem" : std::to_string(problems.size()) + " problems";
  return {.code = Code::invalid, .what = "check the VM's spec: " + count, .problems = std::move(problems)};
}

}  // namespace

// Everything wrong with the document is told in one go, the driver's own options included.
Result<Json> Daemon::create(const Json& body) {
  TRY(const Json document, object_at(body, "spec"));
  TRY(const std::string folder, string_at(body, "folder"));
  std::vector<Problem> problems = store::check_spec(document);
  if (const auto driver_name = string_at(document, "driver")) {
    const auto catalogue = catalogue::Catalogue::scan(surroundings_.driver_folders);
    auto driver = catalogue.find(*driver_name);
    if (!driver) {
      problems.push_back({"/driver", driver.error().what, driver.error().hint});
    } else if (const Json options = document.value("options", Json::object()); options.is_object()) {
      std::ranges::move(driver->options.check(options, "/options"), std::back_inserter(problems));
    }
  }
  if (!problems.empty()) return std::unexpected(refused(std::move(problems)));
  TRY(store::VmSpec spec, store::parse_spec(document, folder));
  store::VmRecord record{.spec = std::move(spec), .created_at = timestamp_now()};
  CHECKED(surroundings_.store.create(record));
  const VmName name = record.spec.name;
  auto vm = std::make_shared<Vm>(surroundings_, std::move(record));
  vms_.emplace(name, vm);
  return vm->info();
}

// The kernel's locks decide, also between homes; but only here it is known whose disk it is.
Result<void> Daemon::check_disks(const Vm& vm) const {
  for (const auto& [name, other] : vms_) {
    if (name == vm.name() || !other->has_run()) continue;
    for (const store::Disk& theirs : other->spec().disks) {
      for (const store::Disk& ours : vm.spec().disks) {
        std::error_code ignored;
        const bool same = ours.path == theirs.path || std::filesystem::equivalent(ours.path, theirs.path, ignored);
        if (!same || (ours.readonly && theirs.readonly)) continue;
        return fail(Code::busy,
                    "start '" + vm.name().str() + "': disk '" + ours.path + "' is in use by '" + name.str() + "'",
                    "stop '" + name.str() + "' first, or make the disk read-only in both");
      }
    }
  }
  return {};
}

Task<Result<Json>> Daemon::start(std::shared_ptr<Vm> vm, Json body) {
  if (ending_) co_return fail(Code::unavailable, "start '" + vm->name().str() + "': the host is stopping");
  if (auto free = check_disks(*vm); !free) co_return std::unexpected(free.error());
  const Deadline deadline = deadline_of(body, start_time);
  co_return co_await vm->start(deadline);
}

Task<Result<Json>> Daemon::stop(std::shared_ptr<Vm> vm, Json body) {
  StopRequest request;
  if (on(flag_or(body, "force", Flag::off))) request.how = StopRequest::How::forced;
  if (body.contains("grace_ms")) {
    request.grace = std::clamp(milliseconds{integer_or(body, "grace_ms", 0)}, milliseconds{0}, longest);
  }
  if (on(flag_or(body, "dry_run", Flag::off))) co_return co_await vm->plan_stop(request);
  co_return co_await vm->stop(request);
}

Task<Result<Json>> Daemon::remove(std::shared_ptr<Vm> vm, Flag force) {
  const VmName name = vm->name();
  if (on(force) && vm->state() != State::lost) {
    StopRequest request;
    request.how = StopRequest::How::forced;
    auto stopped = co_await vm->stop(request);
    if (!stopped) co_return std::unexpected(stopped.error());
  }
  if (vm->state() != State::stopped && vm->state() != State::failed) {
    const std::string state(daemon::name(vm->state()));
    co_return fail(Code::busy, "remove '" + name.str() + "': it is " + state,
                   vm->state() == State::lost ? "" : "stop it first, or use --force");
  }
  if (auto removed = surroundings_.store.remove(name); !removed) co_return std::unexpected(removed.error());
  vms_.erase(name);
  Json done = Json::object();
  done["removed"] = name.str();
  co_return done;
}

Task<std::size_t> Daemon::stop_all(Deadline deadline) {
  auto left = std::make_shared<std::size_t>(0);
  auto done = std::make_shared<Event>();
  for (const auto& [name, vm] : vms_) {
    if (vm->state() == State::lost) continue;
    ++*left;
    surroundings_.scope.spawn("stop " + name.str(), stop_quietly(vm, surroundings_.log, left, done));
  }
  while (*left > 0 && Clock::now() < deadline) co_await done->wait(deadline);
  std::size_t alive = 0;
  for (const auto& [name, vm] : vms_) {
    if (vm->state() != State::stopped && vm->state() != State::failed) ++alive;
  }
  co_return alive;
}

Task<Result<Json>> Daemon::stop_host(Json body) {
  ending_ = true;
  Json answer = Json::object();
  answer["kept"] = 0;
  if (on(flag_or(body, "keep_vms", Flag::off))) {
    answer["kept"] =
        std::ranges::count_if(vms_, [](const auto& entry) { return entry.second->state() == State::running; });
  } else {
    const Deadline deadline = deadline_of(body, end_time);
    const std::size_t alive = co_await stop_all(deadline);
    answer["not_stopped"] = alive;
  }
  ended_ = true;
  end_.notify();
  co_return answer;
}

void Daemon::ask_for_end(Vms vms) {
  Json body = Json::object();
  body["keep_vms"] = vms == Vms::keep;
  auto perform = [](Daemon* self, Json wanted) -> Task<void> {
    static_cast<void>(co_await self->stop_host(std::move(wanted)));
  };
  surroundings_.scope.spawn("stop the host", perform(this, std::move(body)));
}

Task<void> Daemon::wait_for_end() { co_await end_.wait(Deadline::max()); }

Json Daemon::list() const {
  Json vms = Json::array();
  for (const auto& [name, vm] : vms_) vms.push_back(vm->summary());
  for (const auto& [name, why] : unreadable_) {
    vms.push_back({{"name", name.str()}, {"state", daemon::name(State::lost)}, {"why", why}});
  }
  return {{"vms", std::move(vms)}};
}

Json Daemon::drivers() const {
  const auto catalogue = catalogue::Catalogue::scan(surroundings_.driver_folders);
  Json json{{"drivers", Json::array()}, {"broken", Json::array()}, {"folders", Json::array()}};
  for (const catalogue::Driver& driver : catalogue.drivers()) {
    Json entry = driver.manifest.document;
    entry["library"] = driver.library.string();
    json["drivers"].push_back(std::move(entry));
  }
  for (const catalogue::Broken& broken : catalogue.broken()) {
    json["broken"].push_back({{"folder", broken.folder.string()}, {"error", to_json(broken.why)}});
  }
  for (const auto& folder : surroundings_.driver_folders) json["folders"].push_back(folder.string());
  return json;
}

namespace {

Json containment_json(const contain::Provided& provided) {
  Json json{{"mechanism", contain::name(provided.mechanism)}, {"obstacles", Json::array()}};
  if (!provided.cgroup_base.empty()) json["cgroup"] = provided.cgroup_base.string();
  for (const auto& obstacle : provided.obstacles) {
    json["obstacles"].push_back({{"mechanism", contain::name(obstacle.mechanism)}, {"why", obstacle.why}});
  }
  return json;
}

}  // namespace

Json Daemon::describe() const {
  return {{"version", BULKHEAD_VERSION},
          {"pid", ::getpid()},
          {"home", surroundings_.store.home().string()},
          {"runtime_directory", surroundings_.runtime_directory.string()},
          {"containment", containment_json(surroundings_.containment)},
          {"started_at", started_at_},
          {"vms", vms_.size()},
          {"running", std::ranges::count_if(vms_, [](const auto& e) { return e.second->state() == State::running; })}};
}

}  // namespace bulkhead::daemon
