#include "cli/print.hpp"

#include <fmt/core.h>

#include "base/units.hpp"

namespace bulkhead::cli {

namespace {

std::string memory_text(const Json& vm) {
  const auto bytes = integer_or(vm, "memory_bytes", 0);
  if (bytes % (1LL << 30) == 0) return fmt::format("{}GiB", bytes >> 30);
  if (bytes % (1LL << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  return fmt::format("{}KiB", bytes >> 10);
}

Json object_in(const Json& object, const char* key) { return object_at(object, key).value_or(Json::object()); }

bool is_set(const Json& object, const char* key) { return on(flag_or(object, key, Flag::off)); }

// "3 of 5", or "" for a VM that is never restarted.
std::string restarts_text(const Json& restarts) {
  const std::string policy = string_or(restarts, "policy");
  if (policy.empty() || policy == "never") return "";
  return fmt::format("{} of {}", integer_or(restarts, "count", 0), integer_or(restarts, "limit", 0));
}

std::string restart_plan(const Json& restarts) {
  if (is_set(restarts, "gave_up")) return "not restarted any more";
  const std::string next = string_or(restarts, "next_at");
  return next.empty() ? "" : "restarts at " + next;
}

std::string detail_text(const Json& vm) {
  const Json restarts = object_in(vm, "restarts");
  std::string text = string_or(vm, "why");
  const auto add = [&text](const std::string& more) {
    if (!more.empty()) text += (text.empty() ? "" : "; ") + more;
  };
  add(restart_plan(restarts));
  if (is_set(vm, "pending")) add("changes wait for the next start");
  return text;
}

void add_restarts(std::vector<Row>& rows, const Json& vm) {
  const Json restarts = object_in(vm, "restarts");
  const std::string policy = string_or(restarts, "policy");
  if (policy.empty()) return;
  std::string text = policy;
  if (const std::string counted = restarts_text(restarts); !counted.empty()) text += ", " + counted;
  if (const std::string plan = restart_plan(restarts); !plan.empty()) text += "; " + plan;
  rows.push_back({"restart", text});
}

void add_run(std::vector<Row>& rows, const Json& run) {
  rows.push_back({"containment", string_or(run, "containment")});
  const Json agent = object_in(run, "agent");
  const std::string version = string_or(agent, "version");
  rows.push_back(
      {"agent", fmt::format("pid {}{}{}", integer_or(agent, "pid", 0), is_set(agent, "alive") ? "" : ", dead",
                            version.empty() ? "" : ", version " + version)});
  const Json leader = object_in(run, "leader");
  if (!leader.empty()) rows.push_back({"process", fmt::format("pid {}", integer_or(leader, "pid", 0))});
  const Json said = object_in(run, "driver_says");
  if (said.contains("accelerator")) rows.push_back({"accelerator", string_or(said, "accelerator")});
  const Json kill = object_in(run, "kill");
  rows.push_back({"forced stop", fmt::format("{}, within {}; disks afterwards: {}", string_or(kill, "forced"),
                                             render(milliseconds{integer_or(kill, "forced_deadline_ms", 0)}),
                                             string_or(kill, "disk_safety"))});
}

// "4 s", "state: running to stopping: asked by a client", ...
std::string event_text(const Json& event) {
  const std::string kind = string_or(event, "kind");
  const Json detail = object_in(event, "detail");
  if (kind == "vm.state") {
    const std::string why = string_or(detail, "why");
    return string_or(detail, "from") + " to " + string_or(detail, "to") + (why.empty() ? "" : ": " + why);
  }
  if (kind == "vm.warning") return string_or(detail, "message");
  if (kind == "vm.restart" && is_set(detail, "gave_up")) {
    return fmt::format("given up after {}", integer_or(detail, "count", 0));
  }
  if (kind == "vm.restart") {
    return fmt::format("{} of {}, in {}", integer_or(detail, "count", 0), integer_or(detail, "limit", 0),
                       render(milliseconds{integer_or(detail, "in_ms", 0)}));
  }
  return detail.empty() ? "" : dump(detail);
}

}  // namespace

const Json& list_at(const Json& object, const char* key) {
  static const Json empty = Json::array();
  const auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : empty;
}

std::string render_error(const Error& error) {
  std::string text = "bulkhead: " + safe(error.what) + "\n";
  for (const Problem& p : error.problems) {
    text += "  " + (p.pointer.empty() ? std::string("the document") : safe(p.pointer)) + ": " + safe(p.reason) + "\n";
    if (!p.hint.empty()) text += "      " + safe(p.hint) + "\n";
  }
  if (!error.hint.empty()) text += "  " + safe(error.hint) + "\n";
  return text;
}

std::string render_list(const Json& vms, Style style) {
  std::vector<Row> rows{{"NAME", "STATE", "DRIVER", "CPUS", "MEMORY", "RESTARTS", "DETAIL"}};
  for (const Json& vm : list_at(vms, "vms")) {
    const std::string state = string_or(vm, "state");
    rows.push_back({string_or(vm, "name"),
                    {state, colour_of(state)},
                    string_or(vm, "driver"),
                    vm.contains("cpus") ? std::to_string(integer_or(vm, "cpus", 0)) : "",
                    vm.contains("memory_bytes") ? memory_text(vm) : "",
                    restarts_text(object_in(vm, "restarts")),
                    detail_text(vm)});
  }
  if (rows.size() == 1) return "no VMs; create one with: bulkhead create FILE\n";
  return table(std::move(rows), style);
}

std::string render_info(const Json& vm, Style style) {
  const std::string state = string_or(vm, "state");
  std::vector<Row> rows{{"name", string_or(vm, "name")},      {"state", {state, colour_of(state)}},
                        {"driver", string_or(vm, "driver")},  {"cpus", std::to_string(integer_or(vm, "cpus", 0))},
                        {"memory", memory_text(vm)},          {"created", string_or(vm, "created_at")},
                        {"files", string_or(vm, "directory")}};
  if (vm.contains("why")) rows.push_back({"why", string_or(vm, "why")});
  if (vm.contains("desired")) rows.push_back({"wanted", string_or(vm, "desired")});
  add_restarts(rows, vm);
  if (vm.contains("autostart")) rows.push_back({"autostart", is_set(vm, "autostart") ? "yes" : "no"});
  if (vm.contains("operation")) rows.push_back({"under way", string_or(vm, "operation")});
  for (const Json& pointer : list_at(vm, "pending")) {
    if (pointer.is_string()) rows.push_back({"pending", pointer.get<std::string>() + " (at the next start)"});
  }
  if (const Json run = object_in(vm, "run"); !run.empty()) add_run(rows, run);
  for (const Json& warning : list_at(vm, "warnings")) {
    if (warning.is_string()) rows.push_back({"warning", {warning.get<std::string>(), Colour::yellow}});
  }
  if (const auto last = object_at(vm, "last_stop")) {
    rows.push_back({"last stop", fmt::format("{} at {}, by {}: {}", string_or(*last, "outcome"), string_or(*last, "at"),
                                             string_or(*last, "rung"), string_or(*last, "reason"))});
  }
  return table(std::move(rows), style);
}

std::string render_started(const Json& vm) {
  std::string text = "'" + safe(string_or(vm, "name")) + "' is " + safe(string_or(vm, "state")) + "\n";
  for (const Json& warning : list_at(vm, "warnings")) {
    if (warning.is_string()) text += "  " + safe(warning.get<std::string>()) + "\n";
  }
  return text;
}

std::string render_removed(const std::string& vm, const Json& result) {
  std::string text = "removed '" + safe(vm) + "'";
  if (const std::string logs = string_or(result, "logs"); !logs.empty()) text += "; its logs are in " + safe(logs);
  return text + "\n";
}

std::string render_event(const Json& event, Style style) {
  const std::string to = string_or(object_in(event, "detail"), "to");
  return table({{string_or(event, "at"),
                 string_or(event, "vm", "-"),
                 {string_or(event, "kind"), string_or(event, "kind") == "vm.state" ? colour_of(to) : Colour::none},
                 event_text(event)}},
               style);
}

}  // namespace bulkhead::cli
