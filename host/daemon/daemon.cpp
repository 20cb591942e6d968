#include "daemon/daemon.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/suggest.hpp"
#include "base/timestamp.hpp"
#include "os/process.hpp"

namespace bulkhead::daemon {

namespace {

Task<void> stop_quietly(std::shared_ptr<Vm> vm, Log log, std::shared_ptr<std::size_t> left,
                        std::shared_ptr<Event> done) {
  const StopRequest request{.by = StopRequest::By::host};
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
    auto vm = std::make_shared<Vm>(surroundings_, *std::move(record), start_check());
    vms_.emplace(name, vm);
    ++*left;
    surroundings_.scope.spawn("recover " + name.str(), recover_quietly(vm, left, done));
  }
  while (*left > 0) co_await done->wait(Deadline::max());  // each is bounded by itself
}

void Daemon::start_wanted() {
  surroundings_.events.publish("host.started", "", {{"version", BULKHEAD_VERSION}, {"pid", ::getpid()}});
  const auto boot = os::boot_id();
  if (!boot) {
    surroundings_.log.warning(boot.error().what);
    return;
  }
  for (const auto& [name, vm] : vms_) {
    surroundings_.scope.spawn("begin " + name.str(), vm->start_if_wanted(*boot));
  }
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

Result<store::VmSpec> Daemon::check(const Json& document, const std::filesystem::path& folder) const {
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
  if (!folder.is_absolute()) problems.push_back({"/folder", "'" + folder.string() + "' is not absolute", {}});
  if (!problems.empty()) return std::unexpected(refused(std::move(problems)));
  return store::parse_spec(document, folder);
}

Result<std::shared_ptr<Vm>> Daemon::create(store::VmSpec spec) {
  store::VmRecord record{.spec = std::move(spec), .created_at = timestamp_now()};
  const VmName name = record.spec.name;
  if (unreadable_.contains(name)) {
    return fail(Code::exists, "create '" + name.str() + "': there is a VM of that name", "use another name");
  }
  CHECKED(surroundings_.store.create(record));
  auto vm = std::make_shared<Vm>(surroundings_, std::move(record), start_check());
  vms_.emplace(name, vm);
  surroundings_.events.publish("vm.created", name.str());
  return vm;
}

Vm::MayStart Daemon::start_check() const {
  return [this](const Vm& vm) { return may_start(vm); };
}

// The kernel's locks decide, also between homes; but only here it is known whose disk it is.
Result<void> Daemon::may_start(const Vm& vm) const {
  if (ending_) return fail(Code::unavailable, "start '" + vm.name().str() + "': the host is stopping");
  const auto known = vms_.find(vm.name());
  if (known == vms_.end() || known->second.get() != &vm) {
    return fail(Code::gone, "start '" + vm.name().str() + "': it was removed");
  }
  for (const auto& [name, other] : vms_) {
    if (name == vm.name() || !other->has_run()) continue;
    const store::VmSpec& in_force = other->spec_in_force();
    for (const store::Disk& theirs : in_force.disks) {
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

Task<Result<Json>> Daemon::remove(std::shared_ptr<Vm> vm, Flag force, Flag keep_logs) {
  const VmName name = vm->name();
  if (vm->state() != State::lost) {
    // Also when it is stopped: so that it is not about to be started again.
    StopRequest request;
    if (on(force)) request.how = StopRequest::How::forced;
    if (on(force) || !vm->has_run()) {
      auto stopped = co_await vm->stop(request);
      if (!stopped) co_return std::unexpected(stopped.error());
    }
  }
  if (vm->has_run() || (vm->state() != State::stopped && vm->state() != State::failed)) {
    const std::string state(daemon::name(vm->state()));
    co_return fail(Code::busy, "remove '" + name.str() + "': it is " + state,
                   vm->state() == State::lost ? "" : "stop it first, or use --force");
  }
  const auto known = vms_.find(name);
  if (known == vms_.end() || known->second != vm) co_return fail(Code::not_found, "no VM '" + name.str() + "'");
  Json done{{"removed", name.str()}};
  if (on(keep_logs)) {
    std::string stamp = timestamp_now();
    std::erase_if(stamp, [](char c) { return c == ':' || c == '-' || c == '.'; });
    CO_TRY(const std::filesystem::path kept, surroundings_.store.keep_logs(name, stamp));
    done["logs"] = kept.string();
  }
  if (auto removed = surroundings_.store.remove(name); !removed) {
    std::error_code error;
    const auto directory = surroundings_.store.paths(name).directory;
    const auto type = std::filesystem::symlink_status(directory, error).type();
    if (type != std::filesystem::file_type::not_found) co_return std::unexpected(removed.error());
    surroundings_.log.warning(removed.error().what + "; the next daemon tries again");
  }
  vms_.erase(name);
  surroundings_.events.publish("vm.removed", name.str());
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

Task<Json> Daemon::stop_host(Vms vms, std::optional<milliseconds> time) {
  if (!std::exchange(ending_, true)) surroundings_.events.publish("host.stopping", "");
  for (const auto& [name, vm] : vms_) vm->hold();
  Json answer{{"kept", 0}};
  if (vms == Vms::keep) {
    answer["kept"] =
        std::ranges::count_if(vms_, [](const auto& entry) { return entry.second->state() == State::running; });
  } else {
    const milliseconds budget = time.value_or(surroundings_.settings.now().stop_timeout);
    const std::size_t alive = co_await stop_all(Clock::now() + budget);
    answer["not_stopped"] = alive;
  }
  ended_ = true;
  end_.notify();
  co_return answer;
}

bool Daemon::busy() const {
  return std::ranges::any_of(vms_, [](const auto& entry) { return entry.second->needs_daemon(); });
}

void Daemon::ask_for_end(Vms vms) {
  auto perform = [](Daemon* self, Vms wanted) -> Task<void> {
    static_cast<void>(co_await self->stop_host(wanted, std::nullopt));
  };
  surroundings_.scope.spawn("stop the host", perform(this, vms));
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
          {"orphans", orphans_},
          {"log_level", bulkhead::name(surroundings_.log.level())},
          {"vms", vms_.size()},
          {"running", std::ranges::count_if(vms_, [](const auto& e) { return e.second->state() == State::running; })}};
}

}  // namespace bulkhead::daemon
