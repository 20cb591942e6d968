#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "store/ledger.hpp"

namespace bulkhead::store {

namespace {

constexpr std::array roles{
    std::pair{Role::agent, std::string_view("agent")}, std::pair{Role::init, std::string_view("init")},
    std::pair{Role::leader, std::string_view("leader")}, std::pair{Role::helper, std::string_view("helper")}};

Result<Role> role_at(const Json& json) {
  TRY(const std::string text, string_at(json, "role"));
  for (const auto& [role, word] : roles) {
    if (word == text) return role;
  }
  return fail(Code::unknown, "unknown role '" + text + "'");
}

Result<os::Identity> identity_at(const Json& json) {
  TRY(const Json object, object_at(json, "identity"));
  return identity_from_json(object);
}

Result<void> apply_process(LedgerView& view, const Json& json) {
  TRY(const Role role, role_at(json));
  TRY(os::Identity identity, identity_at(json));
  view.processes.push_back({.role = role, .identity = std::move(identity), .program = string_or(json, "program")});
  return {};
}

Result<void> apply_exited(LedgerView& view, const Json& json) {
  TRY(const os::Identity identity, identity_at(json));
  for (RecordedProcess& process : view.processes) {
    if (process.identity != identity) continue;
    process.exit_code = static_cast<int>(integer_or(json, "code", -1));
    process.exit_signal = static_cast<int>(integer_or(json, "signal", 0));
  }
  return {};
}

Result<void> apply_artifact(LedgerView& view, const Json& json) {
  RecordedArtifact artifact;
  TRY(artifact.kind, string_at(json, "kind"));
  TRY(artifact.path, string_at(json, "path"));
  artifact.persistent = on(flag_or(json, "persistent", Flag::off));
  view.artifacts.push_back(std::move(artifact));
  return {};
}

Result<void> apply_lock(LedgerView& view, const Json& json) {
  RecordedLock lock;
  TRY(lock.path, string_at(json, "path"));
  lock.shared = on(flag_or(json, "shared", Flag::off));
  view.locks.push_back(std::move(lock));
  return {};
}

Result<void> apply(LedgerView& view, const Json& json) {
  const std::string type = string_or(json, "type");
  if (type == "begin") {
    TRY(view.beginning, beginning_from_json(json));
  } else if (type == "process") {
    return apply_process(view, json);
  } else if (type == "exited") {
    return apply_exited(view, json);
  } else if (type == "artifact") {
    return apply_artifact(view, json);
  } else if (type == "lock") {
    return apply_lock(view, json);
  } else if (type == "started") {
    TRY(view.start_reply, object_at(json, "reply"));
  } else if (type == "state") {
    TRY(view.driver_state, object_at(json, "state"));
  } else if (type == "end") {
    view.ended = true;
  }
  return {};
}

}  // namespace

std::string_view name(Role role) {
  for (const auto& [value, word] : roles) {
    if (value == role) return word;
  }
  return "";
}

Json identity_json(const os::Identity& identity) {
  Json json{{"pid", identity.pid}, {"start_time", identity.start_time}, {"boot_id", identity.boot_id}};
  if (identity.serial != 0) json["serial"] = identity.serial;
  return json;
}

Result<os::Identity> identity_from_json(const Json& json) {
  os::Identity identity;
  TRY(identity.pid, integer_at(json, "pid"));
  TRY(const std::int64_t start_time, integer_at(json, "start_time"));
  identity.start_time = static_cast<std::uint64_t>(start_time);
  TRY(identity.boot_id, string_at(json, "boot_id"));
  identity.serial = static_cast<std::uint64_t>(integer_or(json, "serial", 0));
  return identity;
}

Json to_json(const Beginning& b) {
  return {{"version", 1},
          {"run", b.run.str()},
          {"vm", b.vm},
          {"boot_id", b.boot_id},
          {"pid_namespace", b.pid_namespace},
          {"runtime_directory", b.runtime_directory},
          {"containment", b.containment},
          {"cgroup", b.cgroup},
          {"driver_library", b.driver_library},
          {"manifest", b.manifest},
          {"spec", b.spec}};
}

Result<Beginning> beginning_from_json(const Json& json) {
  if (integer_or(json, "version", 0) != 1) {
    return fail(Code::incompatible,
                "version " + std::to_string(integer_or(json, "version", 0)) + " is not known to this program");
  }
  TRY(const std::string run_text, string_at(json, "run"));
  TRY(RunId run, RunId::parse(run_text));
  Beginning b{.run = std::move(run)};
  TRY(b.vm, string_at(json, "vm"));
  TRY(b.boot_id, string_at(json, "boot_id"));
  b.pid_namespace = static_cast<std::uint64_t>(integer_or(json, "pid_namespace", 0));
  TRY(b.runtime_directory, string_at(json, "runtime_directory"));
  TRY(b.containment, string_at(json, "containment"));
  b.cgroup = string_or(json, "cgroup");
  TRY(b.driver_library, string_at(json, "driver_library"));
  TRY(b.manifest, object_at(json, "manifest"));
  TRY(b.spec, object_at(json, "spec"));
  return b;
}

const RecordedProcess* LedgerView::last_of(Role role) const {
  for (const RecordedProcess& process : processes | std::views::reverse) {
    if (process.role == role) return &process;
  }
  return nullptr;
}

std::size_t LedgerView::agents() const {
  return static_cast<std::size_t>(
      std::ranges::count(processes, Role::agent, [](const RecordedProcess& process) { return process.role; }));
}

Result<LedgerView> view_of(const std::vector<Json>& records) {
  LedgerView view;
  for (const Json& json : records) {
    auto applied = apply(view, json);
    if (applied) continue;
    // What is written in it can be read, and is not enough: nothing may be guessed from it.
    Error error = within("read ledger: record '" + string_or(json, "type") + "'", std::move(applied).error());
    if (error.code == Code::invalid) error.code = Code::unknown;
    return std::unexpected(std::move(error));
  }
  if (!view.beginning) return fail(Code::unknown, "read ledger: it has no beginning");
  return view;
}

namespace record {

Json begin(const Beginning& beginning) {
  Json json = to_json(beginning);
  json["type"] = "begin";
  return json;
}
Json intent(Role role, const std::string& program) {
  return {{"type", "intent"}, {"role", name(role)}, {"program", program}};
}
Json process(Role role, const os::Identity& identity, const std::string& program) {
  return {{"type", "process"}, {"role", name(role)}, {"identity", identity_json(identity)}, {"program", program}};
}
Json exited(const os::Identity& identity, int code, int signal) {
  return {{"type", "exited"}, {"identity", identity_json(identity)}, {"code", code}, {"signal", signal}};
}
Json artifact(const RecordedArtifact& a) {
  return {{"type", "artifact"}, {"kind", a.kind}, {"path", a.path}, {"persistent", a.persistent}};
}
Json lock(const RecordedLock& l) { return {{"type", "lock"}, {"path", l.path}, {"shared", l.shared}}; }
Json started(const Json& reply) { return {{"type", "started"}, {"reply", reply}}; }
Json state(const Json& state) { return {{"type", "state"}, {"state", state}}; }
Json end() { return {{"type", "end"}}; }

}  // namespace record
}  // namespace bulkhead::store
