#include "agent/children.hpp"

#include <array>
#include <utility>

#include "contain/cgroup.hpp"
#include "os/paths.hpp"

namespace bulkhead::agent {

namespace {

Result<std::vector<std::string>> argv_of(const Json& spec) {
  std::vector<std::string> argv;
  for (const Json& arg : spec.value("argv", Json::array())) {
    if (!arg.is_string()) return fail(Code::invalid, "spawn: argv is not a list of strings");
    argv.push_back(arg.get<std::string>());
  }
  if (argv.empty()) return fail(Code::invalid, "spawn: argv is empty");
  return argv;
}

Result<os::Output> output_of(const Json& spec, const char* key) {
  const std::string where = string_or(spec, key, "null");
  if (where == "null") return os::Output{};
  if (!where.starts_with("/")) return fail(Code::invalid, std::string("spawn: ") + key + " is not an absolute path");
  return os::Output{.to = os::Output::To::file, .path = where};
}

// What a process of a VM gets of our own environment: enough to work, nothing that would tie it to a terminal.
std::map<std::string, std::string> base_environment() {
  constexpr std::array kept{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_RUNTIME_DIR"};
  std::map<std::string, std::string> env;
  for (const char* key : kept) {
    if (auto value = os::environment(key)) env[key] = *std::move(value);
  }
  return env;
}

}  // namespace

Result<os::Spawn> Children::prepare(const Json& spec, store::Role role) const {
  os::Spawn spawn;
  TRY(spawn.argv, argv_of(spec));
  spawn.env = base_environment();
  const Json wanted = spec.value("env", Json::object());  // items() keeps a reference to it
  for (const auto& [key, value] : wanted.items()) {
    if (!value.is_string() || key.empty() || key.find('=') != std::string::npos) {
      return fail(Code::invalid, "spawn: env is not an object of strings");
    }
    spawn.env[key] = value.get<std::string>();
  }
  spawn.cwd = string_or(spec, "cwd", "/");
  TRY(spawn.out, output_of(spec, "stdout"));
  TRY(spawn.err, output_of(spec, "stderr"));
  for (const Json& handle : spec.value("inherit", Json::array())) {
    if (!handle.is_number_integer()) return fail(Code::invalid, "spawn: inherit is not a list of handles");
    spawn.inherit.push_back(handle.get<os::RawHandle>());
  }
  if (role == store::Role::helper) {
    const Child* const leader = running_leader();
    if (leader == nullptr) return fail(Code::invalid, "spawn: a helper needs a running leader");
    spawn.place = os::Spawn::Place::group_of;
    spawn.group = leader->process.identity().pid;
  }
  return spawn;
}

const Children::Child* Children::running_leader() const {
  for (const auto& [id, child] : children_) {
    if (child.role == store::Role::leader && !child.exit) return &child;
  }
  return nullptr;
}

Result<std::uint64_t> Children::spawn(const Json& spec) {
  const std::string role_text = string_or(spec, "role", "leader");
  if (role_text != "leader" && role_text != "helper") {
    return fail(Code::invalid, "spawn: unknown role '" + role_text + "'");
  }
  const store::Role role = role_text == "leader" ? store::Role::leader : store::Role::helper;
  // Held throughout: the reaper must not see this child before it is in the table, and a seal must come before or
  // after.
  const std::lock_guard lock(mutex_);
  if (sealed_) return fail(Code::cancelled, "spawn: the VM is being stopped");
  if (role == store::Role::leader && running_leader() != nullptr)
    return fail(Code::busy, "spawn: the VM has a leader already");
  CHECKED(make_namespace());
  TRY(os::Spawn prepared, prepare(spec, role));
  TRY(os::Process process, start(std::move(prepared), role));
  children_.emplace(++last_id_, Child{.role = role, .process = std::move(process), .exit = {}});
  return last_id_;
}

// In the ledger before its first instruction, and inside what contains it.
Result<os::Process> Children::start(os::Spawn spawn, store::Role role) {
  spawn.env[contain::run_variable] = run_.str();
  if (auto home = os::environment(contain::home_variable)) spawn.env[contain::home_variable] = *std::move(home);
  if (run_lock_) spawn.inherit.push_back(run_lock_.get());
  os::UniqueHandle entrance;
  if (!place_.cgroup.empty()) {
    TRY(entrance, contain::Cgroup(place_.cgroup).entrance());
    spawn.cgroup = entrance.get();
  }
  if (namespace_) spawn.pid_namespace = &*namespace_;
  CHECKED(ledger_.append(store::record::intent(role, spawn.argv[0])));
  return os::spawn(spawn, [&](const os::Identity& identity) {
    return ledger_.append(store::record::process(role, identity, spawn.argv[0]));
  });
}

// Made for the first child, so that a run without children has none.
Result<void> Children::make_namespace() {
  if (place_.init_program.empty() || namespace_) return {};
  if (!init_) {
    os::Spawn spawn;
    spawn.argv = {place_.init_program};
    spawn.new_pid_namespace = true;
    TRY(init_, start(std::move(spawn), store::Role::init));
  }
  TRY(namespace_, os::PidNamespace::of(init_->identity().pid));
  return {};
}

Result<std::vector<std::uint64_t>> Children::adopt(const store::LedgerView& view) {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> living;
  for (const store::RecordedProcess& recorded : view.processes) {
    if (recorded.role == store::Role::agent) continue;
    auto process = os::Process::open(recorded.identity);
    if (!process && process.error().code == Code::gone) continue;
    if (!process) return std::unexpected(process.error());
    if (recorded.role == store::Role::init) {
      TRY(namespace_, os::PidNamespace::of(recorded.identity.pid));
      init_ = *std::move(process);
      continue;
    }
    children_.emplace(++last_id_, Child{.role = recorded.role, .process = *std::move(process), .exit = {}});
    living.push_back(last_id_);
  }
  return living;
}

const os::Process& Children::process(std::uint64_t child) const {
  const std::lock_guard lock(mutex_);
  return children_.at(child).process;  // map nodes stay where they are, and none is ever removed
}

void Children::lost(std::uint64_t child) {
  const std::lock_guard lock(mutex_);
  children_.at(child).exit = driver::Services::Exit{};
  exited_.notify_all();
}

std::uint64_t Children::leader() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, child] : children_) {
    if (child.role == store::Role::leader && !child.exit) return id;
  }
  return 0;
}

Result<driver::Services::Exit> Children::wait(std::uint64_t id, milliseconds limit) {
  std::unique_lock lock(mutex_);
  const auto it = children_.find(id);
  if (it == children_.end()) return fail(Code::invalid, "wait for child: no such child");
  const Child& child = it->second;  // map nodes stay where they are, and none is ever removed
  if (!exited_.wait_for(lock, limit, [&] { return child.exit.has_value(); })) {
    return fail(Code::timed_out, "wait for child: it runs");
  }
  return *child.exit;
}

Result<void> Children::signal(std::uint64_t id, int number) {
  const std::lock_guard lock(mutex_);
  const auto it = children_.find(id);
  if (it == children_.end()) return fail(Code::invalid, "signal child: no such child");
  return it->second.process.signal(static_cast<os::Signal>(number));
}

void Children::seal() {
  const std::lock_guard lock(mutex_);
  sealed_ = true;
}

std::vector<Children::Exited> Children::reap() {
  std::vector<Exited> ours;
  const std::lock_guard lock(mutex_);
  for (const os::Reaped& reaped : os::reap_exited()) {
    for (auto& [id, child] : children_) {
      if (child.exit || child.process.identity().pid != reaped.pid) continue;
      child.exit = driver::Services::Exit{.code = reaped.code, .signal = reaped.signal};
      ours.push_back({child.role, child.process.identity(), reaped.code, reaped.signal});
    }
    if (init_ && init_->identity().pid == reaped.pid) {
      ours.push_back({store::Role::init, init_->identity(), reaped.code, reaped.signal});
    }
  }
  exited_.notify_all();
  return ours;
}

bool Children::leader_alive() const {
  const std::lock_guard lock(mutex_);
  return running_leader() != nullptr;
}

contain::Known Children::known() const {
  contain::Known known{.run = run_, .cgroup = place_.cgroup};
  if (auto self = os::Process::self()) known.guardian = *std::move(self);
  const std::lock_guard lock(mutex_);
  if (init_) {
    known.init = init_->identity();
    known.recorded.push_back(*known.init);
  }
  for (const auto& [id, child] : children_) {
    known.recorded.push_back(child.process.identity());
    if (child.role == store::Role::leader) known.leader = child.process.identity();
  }
  return known;
}

}  // namespace bulkhead::agent
