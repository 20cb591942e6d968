#include "cli/print.hpp"

#include <algorithm>
#include <functional>

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  REQUIRE(text.ends_with("\n"));
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

bool has(const std::string& text, std::string_view part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string::npos;
}

std::size_t widest(const std::string& text) {
  std::size_t width = 0;
  for (const std::string& line : lines_of(text)) width = std::max(width, line.size());
  return width;
}

// As the daemon reports a stop that went through all rungs.
Json stopped() {
  return Json::parse(R"({"version": 1, "vm": "build-worker-01.example", "run": "0123456789abcdef",
    "at": "2024-05-01T12:00:00.123Z", "reason": "asked by a client", "outcome": "stopped", "rung": "kill", "duration_ms": 37250,
    "rungs": [
      {"rung": "ask", "began_ms": 0, "ended_ms": 30000, "outcome": "expired", "detail": "its time was up"},
      {"rung": "force", "began_ms": 30000, "ended_ms": 35250, "outcome": "expired", "detail": "its time was up"},
      {"rung": "kill", "began_ms": 35250, "ended_ms": 35251, "outcome": "done", "detail": "killed the agent and 2 processes of the containment"},
      {"rung": "prove", "began_ms": 35251, "ended_ms": 37000, "outcome": "done", "detail": ""},
      {"rung": "clean", "began_ms": 37000, "ended_ms": 37250, "outcome": "done", "detail": "removed 2 artifacts"}],
    "processes": [
      {"role": "agent", "pid": 4711, "name": "bulkhead-agent", "ended": "killed by signal 9"},
      {"role": "leader", "pid": 4712, "name": "qemu-system-x86_64", "ended": "killed by signal 9"}],
    "artifacts": [
      {"kind": "unix_socket", "path": "/run/user/1000/bulkhead/0123456789abcdef/qmp", "outcome": "removed"},
      {"kind": "log", "path": "/home/somebody/.local/state/bulkhead/vms/build-worker-01.example/console.log", "outcome": "kept"}],
    "evidence": [
      {"oracle": "containment", "says": "cgroup user@1000.service/app.slice/bulkhead/0123456789abcdef is empty"},
      {"oracle": "identities", "says": "2 recorded processes are dead"}],
    "survivors": []})");
}

Json stuck() {
  Json report = stopped();
  report["outcome"] = "stuck";
  report["why"] = "2 processes are still alive";
  report["evidence"] = Json::array();
  report["artifacts"] = Json::array();
  report["survivors"] =
      Json::parse(R"([{"pid": 4712, "name": "qemu-system-x86_64", "state": "D", "found_by": "containment"},
                                        {"pid": 4713, "name": "helper", "state": "T", "found_by": "ledger"}])");
  return report;
}

Json plan() {
  return Json::parse(
      R"({"vm": "dev1", "state": "running", "disks_after_force": "crash_consistent", "blast_radius": "vm",
    "rungs": [{"rung": "ask", "at_most_ms": 30000, "what": "guest_acpi"}, {"rung": "force", "at_most_ms": 5000, "what": "kill_tree"}],
    "processes": [{"pid": 11, "name": "qemu-system-x86_64"}]})");
}

}  // namespace

TEST_CASE("the report of a stop says what happened, how long it took, and what proves it") {
  const std::string text = render_stop(stopped(), Style::plain);
  CHECK(lines_of(text).front() == "'build-worker-01.example' is stopped: rung 'kill', 37.2 s");
  for (const char* part :
       {"ask    30 s", "expired", "its time was up", "2 processes:", "pid 4712", "killed by signal 9",
        "2 artifacts:", "removed", "proof that nothing is left:", "containment:", "2 recorded processes are dead"}) {
    INFO(part);
    CHECK(has(text, part));
  }
  CHECK_FALSE(has(text, "STUCK"));
  CHECK_FALSE(has(text, "still alive"));
}

TEST_CASE("the rungs are in the order in which they were climbed") {
  const std::string text = render_stop(stopped(), Style::plain);
  std::size_t last = 0;
  for (const char* rung : {"\n  ask ", "\n  force ", "\n  kill ", "\n  prove ", "\n  clean "}) {
    const auto at = text.find(rung);
    REQUIRE(at != std::string::npos);
    CHECK(at >= last);
    last = at;
  }
}

TEST_CASE("a VM that is stuck is never called stopped, and each survivor is named") {
  const std::string text = render_stop(stuck(), Style::plain);
  CHECK(lines_of(text).front() == "'build-worker-01.example' is STUCK after 37.2 s: 2 processes are still alive");
  CHECK_FALSE(has(text, "is stopped"));
  CHECK_FALSE(has(text, "proof that nothing is left"));
  CHECK(has(text, "pid 4712 qemu-system-x86_64 (state D)"));
  CHECK(has(text, "pid 4713 helper (state T)"));
  CHECK(has(text, "bulkhead stop --force build-worker-01.example"));
}

TEST_CASE("an outcome that this program does not know is not called stopped") {
  for (const Json& outcome : {Json("lost"), Json(), Json(1)}) {
    Json report = stopped();
    report["outcome"] = outcome;
    CHECK_FALSE(has(render_stop(report, Style::plain), "is stopped"));
  }
  CHECK_FALSE(has(render_stop(Json::object(), Style::plain), "is stopped"));
}

TEST_CASE("a plan says what a stop would do, how long each rung may take, and to which processes") {
  const std::string text = render_plan(plan(), Style::plain);
  for (const char* part : {"a stop of 'dev1' would", "ask    up to 30 s", "force  up to 5 s", "kill_tree",
                           "crash_consistent", "pid 11 qemu-system-x86_64"}) {
    INFO(part);
    CHECK(has(text, part));
  }
  CHECK(render_plan(Json{{"vm", "dev1"}, {"state", "stopped"}}, Style::plain) ==
        "'dev1' is stopped: a stop would do nothing\n");
}

TEST_CASE("a VM that was stopped already takes one line") {
  CHECK(render_stop(Json{{"vm", "dev1"}, {"already", true}, {"outcome", "stopped"}}, Style::plain) ==
        "'dev1' is stopped already\n");
}

TEST_CASE("a fork bomb does not fill the screen, and is counted") {
  Json report = stopped();
  report["processes"] = Json::array();
  for (int i = 0; i < 500; ++i)
    report["processes"].push_back({{"role", "helper"}, {"pid", 1000 + i}, {"name", "bomb"}, {"ended", "killed"}});
  const std::string text = render_stop(report, Style::plain);
  CHECK(has(text, "500 processes:"));
  CHECK(has(text, "488 more"));
  CHECK(lines_of(text).size() < 40);
}

TEST_CASE("one is not many") {
  Json report = stopped();
  report["processes"].erase(1);
  report["artifacts"].erase(1);
  CHECK(has(render_stop(report, Style::plain), "1 process:\n"));
  CHECK(has(render_stop(report, Style::plain), "1 artifact:\n"));
}

TEST_CASE("what a guest, a driver or a file name says cannot control the terminal") {
  // CSI as ESC [, as the one character U+009B, a bell, a carriage return that hides a line, and a line of its own.
  const std::string evil =
      "x\x1b[2J\x1b]0;t\x07\r\n\x7f\xc2\x9b"
      "2Jy";
  const auto harmless = [&](const std::string& text) {
    INFO(text);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find('\x07') == std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
    CHECK(text.find('\x7f') == std::string::npos);
    CHECK(text.find("\xc2\x9b") == std::string::npos);
    // Nothing begins a line with what somebody else said.
    for (const std::string& line : lines_of(text)) CHECK_FALSE(line.starts_with("2J"));
  };
  // Every text of a document replaced.
  const std::function<Json(const Json&)> poisoned = [&](const Json& value) -> Json {
    if (value.is_string()) return evil;
    Json copy = value;
    if (value.is_object()) {
      for (auto& [key, child] : copy.items()) child = key == "outcome" && child == "stopped" ? child : poisoned(child);
    } else if (value.is_array()) {
      for (Json& child : copy) child = poisoned(child);
    }
    return copy;
  };
  harmless(render_stop(poisoned(stopped()), Style::plain));
  harmless(render_stop(poisoned(stuck()), Style::plain));
  harmless(render_stop(Json{{"vm", evil}, {"already", true}}, Style::plain));
  harmless(render_error({.what = evil, .hint = evil, .problems = {{evil, evil, evil}}}));
  harmless(
      render_list(Json{{"vms", {{{"name", evil}, {"state", evil}, {"driver", evil}, {"why", evil}}}}}, Style::plain));
  harmless(render_info(
      poisoned(Json::parse(R"({"name": "", "state": "", "driver": "", "directory": "", "why": "", "created_at": "",
    "run": {"containment": "", "agent": {"pid": 1}, "driver_says": {"accelerator": ""}, "kill": {"forced": "", "disk_safety": ""}},
    "warnings": [""], "last_stop": {"outcome": "", "at": "", "rung": "", "reason": ""}})")),
      Style::plain));
  harmless(render_drivers(
      poisoned(Json::parse(R"({"drivers": [{"id": "", "version": "", "library": "", "kill": {"forced": ""}}],
    "broken": [{"folder": "", "error": {"code": "", "message": ""}}]})")),
      Style::plain));
  harmless(render_drivers(Json{{"folders", {evil}}}, Style::plain));
  harmless(render_plan(poisoned(plan()), Style::plain));
  harmless(render_plan(Json{{"vm", evil}, {"state", evil}}, Style::plain));
  harmless(render_host(
      poisoned(Json::parse(R"({"version": "", "home": "", "containment": {"mechanism": ""}, "started_at": ""})")),
      Style::plain));
}

TEST_CASE("letters outside ASCII are shown as they are") {
  CHECK(has(render_error({.what = "read 'größe 虚.img': no such file"}), "größe 虚.img"));
}

TEST_CASE("with usual data no line is longer than a wide terminal") {
  CHECK(widest(render_stop(stopped(), Style::plain)) <= 160);
  CHECK(widest(render_stop(stuck(), Style::plain)) <= 160);
  CHECK(widest(render_list(
            Json::parse(
                R"({"vms": [{"name": "build-worker-01.example", "state": "running", "driver": "org.bulkhead.qemu",
    "cpus": 16, "memory_bytes": 68719476736, "why": "the last stop left 2 processes: pids 4712, 4713"}]})"),
            Style::plain)) <= 160);
  CHECK(widest(render_drivers(Json::parse(R"({"drivers": [{"id": "org.bulkhead.qemu", "version": "0.1.0",
    "library": "/usr/lib/x86_64-linux-gnu/bulkhead/drivers/org.bulkhead.qemu/0.1.0/driver.so",
    "kill": {"process_model": "external_service", "graceful": "guest_acpi", "forced": "driver_call", "on_agent_death": "vm_survives"}}]})"),
                              Style::plain)) <= 160 + 20);
}

TEST_CASE("an error shows its cause, each problem with its place and hint, and what to try") {
  const std::string text =
      render_error({.code = Code::invalid,
                    .what = "read VM spec: 2 problems",
                    .hint = "see docs/config.md",
                    .problems = {{"/cpus", "expected integer", ""}, {"", "required key 'name' is missing", "add it"}}});
  CHECK(text ==
        "bulkhead: read VM spec: 2 problems\n"
        "  /cpus: expected integer\n"
        "  the document: required key 'name' is missing\n"
        "      add it\n"
        "  see docs/config.md\n");
}

TEST_CASE("a list has a line for each VM under its headings, in columns") {
  const auto lines = lines_of(render_list(Json::parse(R"({"vms": [
    {"name": "a", "state": "running", "driver": "qemu", "cpus": 2, "memory_bytes": 536870912},
    {"name": "long-name", "state": "stopped", "driver": "qemu", "cpus": 1, "memory_bytes": 2147483648},
    {"name": "broken", "state": "failed", "why": "its record is damaged"}]})"),
                                          Style::plain));
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("NAME "));
  CHECK(lines[1].find("running") == lines[0].find("STATE"));
  CHECK(has(lines[1], "512MiB"));
  CHECK(has(lines[2], "2GiB"));
  CHECK(has(lines[3], "its record is damaged"));
  for (const std::string& line : lines) CHECK_FALSE(line.ends_with(' '));
}

TEST_CASE("an empty list says how to fill it") {
  CHECK(render_list(Json{{"vms", Json::array()}}, Style::plain) == "no VMs; create one with: bulkhead create FILE\n");
}

TEST_CASE("memory is never shown as more or less than it is") {
  const auto memory = [](std::int64_t bytes) { return render_info(Json{{"memory_bytes", bytes}}, Style::plain); };
  CHECK(has(memory(1LL << 30), "1GiB\n"));
  CHECK(has(memory(3LL << 29), "1536MiB\n"));
  CHECK(has(memory(1537LL << 10), "1537KiB\n"));
}

TEST_CASE("what is known of a running VM is shown, an agent that died included") {
  const std::string text = render_info(Json::parse(R"({"name": "dev1", "state": "running", "driver": "qemu", "cpus": 2,
    "memory_bytes": 536870912, "created_at": "2024-05-01T12:00:00.000Z", "directory": "/vms/dev1",
    "run": {"containment": "cgroup", "agent": {"pid": 10, "alive": false}, "leader": {"pid": 11},
            "driver_says": {"accelerator": "kvm"}, "kill": {"forced": "kill_tree", "forced_deadline_ms": 5000, "disk_safety": "crash_consistent"}},
    "warnings": ["no KVM"]})"),
                                       Style::plain);
  for (const char* part :
       {"pid 10, dead", "pid 11", "kvm", "kill_tree, within 5 s; disks afterwards: crash_consistent", "no KVM"}) {
    INFO(part);
    CHECK(has(text, part));
  }
}

TEST_CASE("answers of any shape are rendered without an error") {
  for (const char* text :
       {"null", "[]", "7", "{}", R"({"vms": 1, "drivers": {}, "rungs": [1, null], "processes": ["x"], "survivors": [[]],
                                                      "run": [], "last_stop": 1, "warnings": [1], "broken": [null], "folders": [7]})"}) {
    const Json json = Json::parse(text);
    for (const auto& render : {render_list, render_info, render_stop, render_plan, render_drivers, render_host})
      CHECK_FALSE(render(json, Style::plain).empty());
  }
}
