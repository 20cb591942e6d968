#include <fmt/core.h>

#include "base/units.hpp"
#include "cli/print.hpp"

namespace bulkhead::cli {

std::string render_drivers(const Json& drivers, Style style) {
  std::vector<Row> rows{{"DRIVER", "VERSION", "MODEL", "ASKED BY", "FORCED BY", "AGENT DIES", "LIBRARY"}};
  for (const Json& d : list_at(drivers, "drivers")) {
    const Json kill = object_at(d, "kill").value_or(Json::object());
    rows.push_back({string_or(d, "id"), string_or(d, "version"), string_or(kill, "process_model"),
                    string_or(kill, "graceful"), string_or(kill, "forced"), string_or(kill, "on_agent_death"),
                    string_or(d, "library")});
  }
  std::string text = rows.size() > 1 ? table(rows, style) : "no drivers\n";
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

std::string render_host(const Json& host, Style style) {
  return table({{"version", string_or(host, "version")},
                {"pid", std::to_string(integer_or(host, "pid", 0))},
                {"home", string_or(host, "home")},
                {"containment", string_or(object_at(host, "containment").value_or(Json::object()), "mechanism")},
                {"started", string_or(host, "started_at")},
                {"VMs", fmt::format("{}, {} running", integer_or(host, "vms", 0), integer_or(host, "running", 0))}},
               style);
}

namespace {

// "run 0123456789abcdef: qemu (pid 7), bulkhead-agent (pid 8), /run/user/1000/...: ended"
std::string finding_text(const Json& finding, Flag dry_run) {
  std::string things;
  const auto add = [&things](const std::string& thing) { things += (things.empty() ? "" : ", ") + thing; };
  for (const Json& process : list_at(finding, "processes")) {
    add(fmt::format("{} (pid {})", string_or(process, "name"), integer_or(process, "pid", 0)));
  }
  for (const char* place : {"cgroup", "directory", "lock"}) {
    if (const std::string path = string_or(finding, place); !path.empty()) add(path);
  }
  std::string text = "run " + string_or(finding, "run") + ": " + things;
  if (const std::string keep = string_or(finding, "keep"); !keep.empty()) return text + ": left alone: " + keep;
  if (on(dry_run)) return text;
  const Json repair = object_at(finding, "repair").value_or(Json::object());
  if (on(flag_or(repair, "done", Flag::off))) return text + ": ended";
  return text + ": NOT ended: " + string_or(repair, "why");
}

}  // namespace

std::string render_repair(const Json& repair, Style style) {
  const auto& found = list_at(repair, "found");
  if (found.empty()) return "nothing is left of earlier runs\n";
  const Flag dry_run = flag_or(repair, "dry_run", Flag::off);
  std::vector<Row> rows;
  for (const Json& finding : found) {
    rows.push_back({"  " + finding_text(finding, dry_run)});
  }
  std::string text = "left of earlier runs:\n" + table(std::move(rows), style);
  if (on(dry_run)) return text + "nothing was done; to end it: bulkhead repair\n";
  const auto left = integer_or(repair, "left", 0);
  return text + (left == 0 ? "nothing of it is left\n" : fmt::format("{} could not be ended\n", left));
}

std::string render_reload(const Json& changes, Style style) {
  std::vector<Row> rows;
  for (const auto& [key, what] : {std::pair{"applied", "applied"}, std::pair{"needs_restart", "at the next start"}}) {
    for (const Json& pointer : list_at(changes, key)) {
      if (pointer.is_string()) rows.push_back({what, pointer.get<std::string>()});
    }
  }
  return rows.empty() ? "nothing changed\n" : table(std::move(rows), style);
}

}  // namespace bulkhead::cli
