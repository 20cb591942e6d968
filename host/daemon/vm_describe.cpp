#include "bulkhead/kill_semantics.hpp"

#include "daemon/vm.hpp"
#include "os/file.hpp"

// What a VM tells of itself.
namespace bulkhead::daemon {

Json Vm::last_stop_on_disk() const {
  const auto text = os::read_file(surroundings_.store.paths(name()).last_stop);
  Json last = text ? Json::parse(*text, nullptr, false) : Json();
  return last.is_object() ? last : Json::object();
}

Task<Result<Json>> Vm::plan_stop(StopRequest request) {
  const auto self = shared_from_this();
  Json json{
      {"vm", name().str()}, {"state", daemon::name(state_)}, {"rungs", Json::array()}, {"processes", Json::array()}};
  if (!run_) co_return json;
  const stop::Plan planned = plan(request);
  const Json declared = run_->manifest().value("kill", Json::object());
  const auto add = [&json](stop::Rung rung, std::optional<Duration> time, const std::string& what) {
    if (!time) return;
    const auto ms = std::chrono::duration_cast<milliseconds>(*time).count();
    json["rungs"].push_back({{"rung", stop::name(rung)}, {"at_most_ms", ms}, {"what", what}});
  };
  add(stop::Rung::ask, planned.ask, string_or(declared, "graceful"));
  add(stop::Rung::force, planned.force, string_or(declared, "forced"));
  add(stop::Rung::kill, planned.kill, "kill the agent, then offline stop: " + string_or(declared, "offline_stop"));
  add(stop::Rung::prove, planned.prove, "census, cgroup, the agent's children, the driver");
  add(stop::Rung::clean, planned.clean, "the driver's cleanup, then the artifacts in reverse order");
  json["disks_after_force"] = string_or(declared, "disk_safety");
  json["blast_radius"] = string_or(declared, "forced_blast_radius");
  auto run = run_;
  auto members = co_await run->members();
  if (!members) co_return std::unexpected(members.error());
  for (const contain::Member& m : *members) {
    json["processes"].push_back({{"pid", m.identity.pid}, {"name", m.name}, {"found_by", m.found_by}});
  }
  co_return json;
}

std::optional<Progress> Vm::progress() const {
  if (climber_) {
    const stop::Ladder& ladder = climber_->ladder();
    const auto step = ladder.step();
    if (!step) return std::nullopt;
    const auto& story = ladder.story();
    const auto since = story.empty() ? busy_since_ : story.back().ended;
    return Progress{.phase = std::string(stop::name(step->rung)), .since = since, .until = step->until};
  }
  if (state_ != State::starting) return std::nullopt;
  return Progress{.phase = "start", .since = busy_since_, .until = start_deadline_};
}

Json Vm::summary() const {
  const store::VmSpec& in_force = spec_in_force();
  Json json{{"name", name().str()},
            {"state", daemon::name(state_)},
            {"driver", in_force.driver},
            {"cpus", in_force.cpus},
            {"memory_bytes", count(in_force.memory)},
            {"desired", keeper_.wants_running() ? "running" : "stopped"},
            {"restarts", keeper_.describe(record_.spec.restart)},
            {"pending", !store::pending_changes(in_force, record_.spec).empty()}};
  if (!why_.empty()) json["why"] = why_;
  if (started_.contains("accelerator") && run_) json["accelerator"] = started_["accelerator"];
  return json;
}

Json Vm::info() const {
  Json json = summary();
  const store::VmPaths paths = surroundings_.store.paths(name());
  json["created_at"] = record_.created_at;
  json["spec"] = store::to_json(record_.spec);
  json["pending"] = store::pending_changes(spec_in_force(), record_.spec);
  json["autostart"] = record_.spec.autostart;
  json["directory"] = paths.directory.string();
  json["agent_log"] = paths.agent_log.string();
  json["warnings"] = warnings_;
  if (run_) json["run"] = describe_run();
  if (Json last = last_stop_on_disk(); !last.empty()) json["last_stop"] = std::move(last);
  return json;
}

Json Vm::describe_run() const {
  Json run{{"id", run_->id().str()}, {"containment", run_->beginning().containment}};
  if (const auto agent = run_->agent_identity()) {
    run["agent"] = {{"pid", agent->pid}, {"alive", run_->agent_alive()}};
    if (const std::string& version = run_->agent_version(); !version.empty()) run["agent"]["version"] = version;
  }
  if (const auto view = run_->ledger()) {
    if (const auto* leader = view->last_of(store::Role::leader)) run["leader"] = {{"pid", leader->identity.pid}};
    run["locks"] = Json::array();
    for (const store::RecordedLock& lock : view->locks) {
      run["locks"].push_back({{"path", lock.path}, {"shared", lock.shared}});
    }
  }
  run["driver_says"] = started_;
  run["kill"] = run_->manifest().value("kill", Json::object());
  return run;
}

}  // namespace bulkhead::daemon
