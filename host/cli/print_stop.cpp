#include <fmt/core.h>

#include "base/units.hpp"
#include "cli/print.hpp"

namespace bulkhead::cli {

namespace {

std::string counted(std::size_t number, const char* one, const char* many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

std::string render_rungs(const Json& report, Style style) {
  std::vector<Row> rows;
  for (const Json& rung : list_at(report, "rungs")) {
    const auto took = integer_or(rung, "ended_ms", 0) - integer_or(rung, "began_ms", 0);
    rows.push_back({"  " + string_or(rung, "rung"), render(milliseconds{took}), string_or(rung, "outcome"),
                    string_or(rung, "detail")});
  }
  return table(std::move(rows), style);
}

std::string render_processes(const Json& report, Style style) {
  std::vector<Row> rows;
  for (const Json& p : list_at(report, "processes")) {
    if (rows.size() == 12) {
      rows.push_back({"  ...", counted(list_at(report, "processes").size() - 12, "more", "more")});
      break;
    }
    rows.push_back({"  " + string_or(p, "role"), fmt::format("pid {}", integer_or(p, "pid", 0)), string_or(p, "name"),
                    string_or(p, "ended")});
  }
  return table(std::move(rows), style);
}

std::string render_artifacts(const Json& report, Style style) {
  std::vector<Row> rows;
  for (const Json& a : list_at(report, "artifacts")) {
    rows.push_back({"  " + string_or(a, "kind"), string_or(a, "path"), string_or(a, "outcome")});
  }
  return table(std::move(rows), style);
}

std::string render_evidence(const Json& report, Style style) {
  std::vector<Row> rows;
  for (const Json& e : list_at(report, "evidence")) {
    rows.push_back({"  " + string_or(e, "oracle") + ":", string_or(e, "says")});
  }
  return table(std::move(rows), style);
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

std::string render_stop_line(const Json& report) {
  const std::string vm = safe(string_or(report, "vm"));
  if (on(flag_or(report, "already", Flag::off))) return fmt::format("'{}' is stopped already\n", vm);
  const std::string took = render(milliseconds{integer_or(report, "duration_ms", 0)});
  if (string_or(report, "outcome") == "stopped") {
    return fmt::format("'{}' is stopped: rung '{}', {}\n", vm, safe(string_or(report, "rung")), took);
  }
  return fmt::format("'{}' is STUCK after {}: {}\n", vm, took, safe(string_or(report, "why")));
}

std::string render_stop(const Json& report, Style style) {
  std::string text = render_stop_line(report);
  if (on(flag_or(report, "already", Flag::off))) return text;
  text += render_rungs(report, style);
  if (const auto& p = list_at(report, "processes"); !p.empty()) {
    text += counted(p.size(), "process", "processes") + ":\n" + render_processes(report, style);
  }
  if (const auto& a = list_at(report, "artifacts"); !a.empty()) {
    text += counted(a.size(), "artifact", "artifacts") + ":\n" + render_artifacts(report, style);
  }
  if (!list_at(report, "evidence").empty()) text += "proof that nothing is left:\n" + render_evidence(report, style);
  if (!list_at(report, "survivors").empty()) {
    text += "still alive, so its locks and files are kept; try again: bulkhead stop --force " +
            safe(string_or(report, "vm")) + "\n" + render_survivors(report);
  }
  return text;
}

std::string render_plan(const Json& plan, Style style) {
  const std::string vm = safe(string_or(plan, "vm"));
  if (list_at(plan, "rungs").empty())
    return fmt::format("'{}' is {}: a stop would do nothing\n", vm, safe(string_or(plan, "state")));
  std::vector<Row> rows;
  for (const Json& rung : list_at(plan, "rungs")) {
    rows.push_back({"  " + string_or(rung, "rung"), "up to " + render(milliseconds{integer_or(rung, "at_most_ms", 0)}),
                    string_or(rung, "what")});
  }
  std::string text =
      fmt::format("a stop of '{}' would climb, as far as it needs:\n", vm) + table(std::move(rows), style);
  text += fmt::format("disks after force: {}; blast radius: {}\n", safe(string_or(plan, "disks_after_force")),
                      safe(string_or(plan, "blast_radius")));
  for (const Json& p : list_at(plan, "processes")) {
    text += fmt::format("  pid {} {}\n", integer_or(p, "pid", 0), safe(string_or(p, "name")));
  }
  return text;
}

}  // namespace bulkhead::cli
