#include "cli/print.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <vector>

#include "base/units.hpp"

namespace bulkhead::cli {

namespace {

using Row = std::vector<std::string>;

// Terminal escapes in what a guest, a driver or a file said stay harmless: no control character is left, neither those
// of one byte nor U+0080 to U+009F, of which one begins a command for the terminal too.
std::string safe(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (c < 0x20 || c == 0x7f) text[i] = ' ';
    if (c == 0xc2 && next >= 0x80 && next <= 0x9f) text.replace(i, 2, " ");
  }
  return text;
}

std::string table(std::vector<Row> rows) {
  std::vector<std::size_t> widths;
  for (Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = safe(std::move(row[i]));
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string memory_text(const Json& vm) {
  const auto bytes = integer_or(vm, "memory_bytes", 0);
  if (bytes % (1LL << 30) == 0) return fmt::format("{}GiB", bytes >> 30);
  if (bytes % (1LL << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  return fmt::format("{}KiB", bytes >> 10);
}

std::string counted(std::size_t number, const char* one, const char* many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

const Json& list_at(const Json& object, const char* key) {
  static const Json empty = Json::array();
  const auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : empty;
}

}  // namespace

std::string render_error(const Error& error) {
  std::string text = "bulkhead: " + safe(error.what) + "\n";
  for (const Problem& p : error.problems) {
    text += "  " + (p.pointer.empty() ? std::string("the document") : safe(p.pointer)) + ": " + safe(p.reason) + "\n";
    if (!p.hint.empty()) text += "      " + safe(p.hint) + "\n";
  }
  if (!error.hint.empty()) text += "  " + safe(error.hint) + "\n";
  return text;
}

std::string render_list(const Json& vms) {
  std::vector<Row> rows{{"NAME", "STATE", "DRIVER", "CPUS", "MEMORY", ""}};
  for (const Json& vm : list_at(vms, "vms")) {
    rows.push_back({string_or(vm, "name"), string_or(vm, "state"), string_or(vm, "driver"),
                    vm.contains("cpus") ? std::to_string(integer_or(vm, "cpus", 0)) : "",
                    vm.contains("memory_bytes") ? memory_text(vm) : "", string_or(vm, "why")});
  }
  if (rows.size() == 1) return "no VMs; create one with: bulkhead create FILE\n";
  return table(rows);
}

std::string render_info(const Json& vm) {
  std::vector<Row> rows{{"name", string_or(vm, "name")},      {"state", string_or(vm, "state")},
                        {"driver", string_or(vm, "driver")},  {"cpus", std::to_string(integer_or(vm, "cpus", 0))},
                        {"memory", memory_text(vm)},          {"created", string_or(vm, "created_at")},
                        {"files", string_or(vm, "directory")}};
  if (vm.contains("why")) rows.push_back({"why", string_or(vm, "why")});
  const Json run = object_at(vm, "run").value_or(Json::object());
  if (!run.empty()) {
    rows.push_back({"containment", string_or(run, "containment")});
    const Json agent = object_at(run, "agent").value_or(Json::object());
    const bool alive = on(flag_or(agent, "alive", Flag::off));
    rows.push_back({"agent", fmt::format("pid {}{}", integer_or(agent, "pid", 0), alive ? "" : ", dead")});
    const Json leader = object_at(run, "leader").value_or(Json::object());
    if (!leader.empty()) rows.push_back({"process", fmt::format("pid {}", integer_or(leader, "pid", 0))});
    const Json said = object_at(run, "driver_says").value_or(Json::object());
    if (said.contains("accelerator")) rows.push_back({"accelerator", string_or(said, "accelerator")});
    const Json kill = object_at(run, "kill").value_or(Json::object());
    rows.push_back({"forced stop", fmt::format("{}, within {}; disks afterwards: {}", string_or(kill, "forced"),
                                               render(milliseconds{integer_or(kill, "forced_deadline_ms", 0)}),
                                               string_or(kill, "disk_safety"))});
  }
  for (const Json& warning : list_at(vm, "warnings")) {
    if (warning.is_string()) rows.push_back({"warning", warning.get<std::string>()});
  }
  if (const auto last = object_at(vm, "last_stop")) {
    rows.push_back({"last stop", fmt::format("{} at {}, by {}: {}", string_or(*last, "outcome"), string_or(*last, "at"),
                                             string_or(*last, "rung"), string_or(*last, "reason"))});
  }
  return table(rows);
}

namespace {

std::string render_rungs(const Json& report) {
  std::vector<Row> rows;
  for (const Json& rung : list_at(report, "rungs")) {
    const auto took = integer_or(rung, "ended_ms", 0) - integer_or(rung, "began_ms", 0);
    rows.push_back({"  " + string_or(rung, "rung"), render(milliseconds{took}), string_or(rung, "outcome"),
                    string_or(rung, "detail")});
  }
  return table(rows);
}

std::string render_processes(const Json& report) {
  std::vector<Row> rows;
  for (const Json& p : list_at(report, "processes")) {
    if (rows.size() == 12) {
      rows.push_back({"  ...", counted(list_at(report, "processes").size() - 12, "more", "more")});
      break;
    }
    rows.push_back({"  " + string_or(p, "role"), fmt::format("pid {}", integer_or(p, "pid", 0)), string_or(p, "name"),
                    string_or(p, "ended")});
  }
  return table(rows);
}

std::string render_artifacts(const Json& report) {
  std::vector<Row> rows;
  for (const Json& a : list_at(report, "artifacts")) {
    rows.push_back({"  " + string_or(a, "kind"), string_or(a, "path"), string_or(a, "outcome")});
  }
  return table(rows);
}

std::string render_evidence(const Json& report) {
  std::vector<Row> rows;
  for (const Json& e : list_at(report, "evidence")) {
    rows.push_back({"  " + string_or(e, "oracle") + ":", string_or(e, "says")});
  }
  return table(rows);
}

std::string render_survivors(const Json& report) {
  std::string text;
  for (const Json& s : list_at(report, "survivors")) {
    const std::string waits = string_or(s, "waits_for");
    text += fmt::format("  pid {} {} (state {}{})\n", integer_or(s, "pid", 0), safe(string_or(s, "name")),
                        safe(string_or(s, "state")), waits.empty() ? "" : ", waits in " + safe(waits));
  }
  return text;
}

}  // namespace

std::string render_stop(const Json& report) {
  const std::string vm = safe(string_or(report, "vm"));
  if (on(flag_or(report, "already", Flag::off))) return fmt::format("'{}' is stopped already\n", vm);
  const std::string took = render(milliseconds{integer_or(report, "duration_ms", 0)});
  const bool stopped = string_or(report, "outcome") == "stopped";
  std::string text = stopped
                         ? fmt::format("'{}' is stopped: rung '{}', {}\n", vm, safe(string_or(report, "rung")), took)
                         : fmt::format("'{}' is STUCK after {}: {}\n", vm, took, safe(string_or(report, "why")));
  text += render_rungs(report);
  if (const auto& p = list_at(report, "processes"); !p.empty()) {
    text += counted(p.size(), "process", "processes") + ":\n" + render_processes(report);
  }
  if (const auto& a = list_at(report, "artifacts"); !a.empty()) {
    text += counted(a.size(), "artifact", "artifacts") + ":\n" + render_artifacts(report);
  }
  if (!list_at(report, "evidence").empty()) text += "proof that nothing is left:\n" + render_evidence(report);
  if (!list_at(report, "survivors").empty()) {
    text += "still alive, so its locks and files are kept; try again: bulkhead stop --force " + vm + "\n" +
            render_survivors(report);
  }
  return text;
}

std::string render_plan(const Json& plan) {
  const std::string vm = safe(string_or(plan, "vm"));
  if (list_at(plan, "rungs").empty())
    return fmt::format("'{}' is {}: a stop would do nothing\n", vm, safe(string_or(plan, "state")));
  std::vector<Row> rows;
  for (const Json& rung : list_at(plan, "rungs")) {
    rows.push_back({"  " + string_or(rung, "rung"), "up to " + render(milliseconds{integer_or(rung, "at_most_ms", 0)}),
                    string_or(rung, "what")});
  }
  std::string text = fmt::format("a stop of '{}' would climb, as far as it needs:\n", vm) + table(rows);
  text += fmt::format("disks after force: {}; blast radius: {}\n", safe(string_or(plan, "disks_after_force")),
                      safe(string_or(plan, "blast_radius")));
  for (const Json& p : list_at(plan, "processes")) {
    text += fmt::format("  pid {} {}\n", integer_or(p, "pid", 0), safe(string_or(p, "name")));
  }
  return text;
}

std::string render_drivers(const Json& drivers) {
  std::vector<Row> rows{{"DRIVER", "VERSION", "MODEL", "ASKED BY", "FORCED BY", "AGENT DIES", "LIBRARY"}};
  for (const Json& d : list_at(drivers, "drivers")) {
    const Json kill = object_at(d, "kill").value_or(Json::object());
    rows.push_back({string_or(d, "id"), string_or(d, "version"), string_or(kill, "process_model"),
                    string_or(kill, "graceful"), string_or(kill, "forced"), string_or(kill, "on_agent_death"),
                    string_or(d, "library")});
  }
  std::string text = rows.size() > 1 ? table(rows) : "no drivers\n";
  for (const Json& b : list_at(drivers, "broken")) {
    const Error error = error_from_json(object_at(b, "error").value_or(Json::object()));
    text += "broken: " + safe(string_or(b, "folder")) + ": " + safe(error.what) + "\n";
  }
  if (rows.size() == 1) {
    for (const Json& folder : list_at(drivers, "folders")) {
      if (folder.is_string()) text += "looked in " + safe(folder.get<std::string>()) + "\n";
    }
  }
  return text;
}

std::string render_host(const Json& host) {
  return table({{"version", string_or(host, "version")},
                {"pid", std::to_string(integer_or(host, "pid", 0))},
                {"home", string_or(host, "home")},
                {"containment", string_or(object_at(host, "containment").value_or(Json::object()), "mechanism")},
                {"started", string_or(host, "started_at")},
                {"VMs", fmt::format("{}, {} running", integer_or(host, "vms", 0), integer_or(host, "running", 0))}});
}

std::string render_doctor(const Json& host, const Json& drivers) {
  const Json containment = object_at(host, "containment").value_or(Json::object());
  std::vector<Row> rows{{"containment", string_or(containment, "mechanism")}};
  for (const Json& obstacle : list_at(containment, "obstacles")) {
    rows.push_back({"", fmt::format("not by {}: {}", string_or(obstacle, "mechanism"), string_or(obstacle, "why"))});
  }
  for (const Json& driver : list_at(drivers, "drivers")) {
    rows.push_back({"driver", fmt::format("{} {}", string_or(driver, "id"), string_or(driver, "version"))});
  }
  for (const Json& broken : list_at(drivers, "broken")) {
    const Json error = object_at(broken, "error").value_or(Json::object());
    rows.push_back({"broken", fmt::format("{}: {}", string_or(broken, "folder"), string_or(error, "message"))});
  }
  return table(rows);
}

}  // namespace bulkhead::cli
