#include <chrono>
#include <signal.h>
#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
using namespace std::chrono_literals;
namespace support = bulkhead::support;
using Clock = std::chrono::steady_clock;

namespace {

std::vector<Json> strays(const Json& report) {
  std::vector<Json> found;
  for (const Json& process : report.at("processes")) {
    if (process.at("role") == "stray") found.push_back(process);
  }
  return found;
}

void is_gone(const HostUnderTest& host, const std::string& run) {
  CHECK(host.members(run) == std::vector<support::Seen>{});
  CHECK(host.sockets_and_folders() == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("F01: a firmware guest that obeys is shut down by asking and its console says so") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "ask");
  CHECK(rung(report, "force").is_null());
  CHECK(rung(report, "prove").at("outcome") == "done");
  CHECK(report.at("evidence").size() >= 3);
  CHECK(report.at("survivors").empty());
  CHECK(contains(host.console("fw"), "POWEROFF"));
  is_gone(host, run);
}

TEST_CASE("F01: a Linux guest that obeys is shut down by asking and its console says so") {
  const HostUnderTest host;
  host.run_vm(host.linux_guest("linux"));
  const std::string run = host.run_of("linux");
  const Json report = host.ok({"stop", "linux"});
  CHECK(report.at("rung") == "ask");
  CHECK(contains(host.console("linux"), "guest: powering off"));
  is_gone(host, run);
}

TEST_CASE("F02: a guest that ignores the request is forced after its grace and not before") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const std::string run = host.run_of("fw");
  const Json report = host.ok({"stop", "fw", "--grace", "1s"});
  CHECK(report.at("rung") == "force");
  const Json asked = rung(report, "ask");
  CHECK(asked.at("outcome") != "done");
  CHECK(contains(asked.at("detail"), "did not react"));
  CHECK(duration_of(asked) >= 1000);
  CHECK(duration_of(asked) < 2500);
  CHECK(rung(report, "force").at("outcome") == "done");
  CHECK(contains(host.console("fw"), "POWERBUTTON"));
  is_gone(host, run);
}

TEST_CASE("F02: the grace period of the spec counts when none is given") {
  const HostUnderTest host;
  Json spec = host.firmware("fw", "ignore");
  spec["stop"] = {{"grace_period", "300ms"}};
  host.run_vm(spec);
  const auto asked = duration_of(rung(host.ok({"stop", "fw"}), "ask"));
  CHECK(asked >= 300);
  CHECK(asked < 1800);
}

TEST_CASE("a guest that spins with interrupts off is forced") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "spin"));
  const std::string run = host.run_of("fw");
  CHECK(host.ok({"stop", "fw", "--grace", "300ms"}).at("rung") == "force");
  is_gone(host, run);
}

TEST_CASE("F03: a QEMU whose control sockets accept and never answer is forced within its deadline") {
  const HostUnderTest host;
  for (const bool forced : {false, true}) {
    const std::string name = forced ? "forced" : "asked";
    Json spec = host.firmware(name);
    spec["options"]["binary"] = SILENT_QEMU;
    host.create(spec);
    host.start(name);
    const std::string run = host.run_of(name);
    const Json report = forced ? host.ok({"stop", "--force", name}) : host.ok({"stop", name, "--grace", "500ms"});
    CHECK(report.at("rung") == "force");
    CHECK(duration_of(rung(report, "force")) < 5'000);
    is_gone(host, run);
  }
}

TEST_CASE("F04: a QEMU that is stopped by a signal is forced, at once when that is asked for") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  REQUIRE(::kill(static_cast<pid_t>(host.leader("fw")), SIGSTOP) == 0);
  const Json report = host.ok({"stop", "--force", "fw"});
  CHECK(report.at("rung") == "force");
  CHECK(rung(report, "ask").is_null());
  CHECK(report.at("duration_ms") < 5'000);
  is_gone(host, run);
}

TEST_CASE("F04: a QEMU that is stopped by a signal is asked in vain, then forced") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  REQUIRE(::kill(static_cast<pid_t>(host.leader("fw")), SIGSTOP) == 0);
  const Json report = host.ok({"stop", "fw", "--grace", "1s"});
  CHECK(report.at("rung") == "force");
  CHECK(duration_of(rung(report, "ask")) < 2'500);
  CHECK_FALSE(contains(host.console("fw"), "POWEROFF"));
  is_gone(host, run);
}

TEST_CASE("F05: a leader that ignores the polite signals is forced after its grace") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"deaf", "say", "ready"}));
  const std::string run = host.run_of("p");
  const Json report = host.ok({"stop", "p", "--grace", "300ms"});
  CHECK(report.at("rung") == "force");
  is_gone(host, run);
}

TEST_CASE("F06: a helper that left the group and closed its descriptors is found, killed and counted") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"daemonise", "say", "ready"}));
  const std::string run = host.run_of("p");
  REQUIRE(host.members(run).size() == 2);
  const Json report = host.ok({"stop", "--force", "p"});
  CHECK(report.at("outcome") == "stopped");
  const auto found = strays(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].at("name") == "test_child");
  is_gone(host, run);
}

TEST_CASE("F06: a leader that obeyed does not hide a helper that stayed") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"daemonise", "say", "ready"}));
  const std::string run = host.run_of("p");
  const Json report = host.ok({"stop", "p"});
  CHECK(rung(report, "ask").at("outcome") == "done");
  CHECK(report.at("rung") == "force");
  CHECK(strays(report).size() == 1);
  is_gone(host, run);
}

TEST_CASE("F06: a helper that left, with its first thread ended, is found also when the agent is dead") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"threaded-daemon", "say", "ready"}));
  const std::string run = host.run_of("p");
  REQUIRE(eventually([&] { return host.members(run).size() == 2; }));
  REQUIRE(::kill(static_cast<pid_t>(host.agent("p")), SIGKILL) == 0);
  const Json report = host.ok({"stop", "--force", "p"});
  CHECK(report.at("outcome") == "stopped");
  is_gone(host, run);
}

TEST_CASE("F06: a helper that left and emptied its environment is found while the agent lives") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"nameless-daemon", "say", "ready"}));
  const auto agent = host.agent("p");
  REQUIRE(eventually([&] { return support::children_of(agent).size() == 2; }));
  std::vector<std::int64_t> pids;
  for (const auto& seen : support::children_of(agent)) pids.push_back(seen.pid);
  CHECK(strays(host.ok({"stop", "--force", "p"})).size() == 1);
  for (const auto pid : pids) CHECK_FALSE(support::alive(pid));
}

TEST_CASE("F07: a storm of processes that start the next and exit is ended and proved empty") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"storm", "3", "40", "say", "ready"}));
  const std::string run = host.run_of("p");
  const Json report = host.ok({"stop", "--force", "p"});
  CHECK(report.at("outcome") == "stopped");
  is_gone(host, run);
}

TEST_CASE("F08: a leader that exits and leaves children: they are found and ended") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.create(host.process("p", {"fork", "3", "daemonise", "exit", "0"}));
  host.bulkhead({"start", "p"});  // the leader may be gone before or after the start is answered
  REQUIRE(eventually([&] { return host.info("p").contains("last_stop") && !host.info("p").contains("run"); }));
  const Json report = host.info("p").at("last_stop");
  CHECK(report.at("outcome") == "stopped");
  CHECK(strays(report).size() == 4);
  is_gone(host, report.at("run"));
}

TEST_CASE("F08: a leader that is killed and leaves children: they are found and ended, and the VM has failed") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"fork", "3", "daemonise", "say", "ready"}));
  const std::string run = host.run_of("p");
  REQUIRE(host.members(run).size() == 5);
  REQUIRE(::kill(static_cast<pid_t>(host.leader("p")), SIGKILL) == 0);
  REQUIRE(host.reaches("p", "failed"));
  const Json report = host.info("p").at("last_stop");
  CHECK(strays(report).size() == 4);
  CHECK(contains(report.at("reason"), "killed by signal 9"));
  is_gone(host, run);
}

TEST_CASE("F10: force overtakes a start that hangs") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.create(host.process("p", {"say", "ready"}, {{"on_start", "hang"}}));
  const auto starting = host.begin({"start", "p", "--json"});
  REQUIRE(host.console_says("p", "ready"));
  CHECK(host.state("p") == "starting");
  const std::string run = host.run_of("p");
  const auto began = Clock::now();
  const Json report = host.ok({"stop", "--force", "p"});
  CHECK(Clock::now() - began < 10s);
  CHECK(report.at("outcome") == "stopped");
  const Finished started = starting->wait();
  CHECK(started.code == 1);
  CHECK(contains(started.out, "stopped while it started"));
  CHECK(host.state("p") == "stopped");
  is_gone(host, run);
}

TEST_CASE("F10: force overtakes a graceful stop and both are told the same end") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const std::string run = host.run_of("fw");
  const auto asking = host.begin({"stop", "fw", "--json"});
  REQUIRE(host.console_says("fw", "POWERBUTTON"));
  CHECK(host.state("fw") == "stopping");
  const auto began = Clock::now();
  const Json forced = host.ok({"stop", "--force", "fw"});
  CHECK(Clock::now() - began < 10s);  // the grace is 30 s
  CHECK(contains(rung(forced, "ask").at("detail"), "overtaken"));
  const Finished asked = asking->wait();
  CHECK(asked.code == 0);
  CHECK(Json::parse(asked.out) == forced);
  is_gone(host, run);
}

TEST_CASE("F10: two forced stops at once both succeed") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const std::string run = host.run_of("fw");
  const auto one = host.begin({"stop", "--force", "fw"});
  const auto two = host.begin({"stop", "--force", "fw"});
  CHECK(one->wait().code == 0);
  CHECK(two->wait().code == 0);
  CHECK(host.state("fw") == "stopped");
  is_gone(host, run);
}

TEST_CASE("F11: a stop whose client is killed completes") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const std::string run = host.run_of("fw");
  const auto stopping = host.begin({"stop", "fw", "--grace", "1s"});
  REQUIRE(host.console_says("fw", "POWERBUTTON"));
  stopping->signal(SIGKILL);
  stopping->wait();
  REQUIRE(host.reaches("fw", "stopped"));
  CHECK(host.info("fw").at("last_stop").at("rung") == "force");
  is_gone(host, run);
}

TEST_CASE("F14: VMs whose guests all ignore the request are stopped in the time of the slowest") {
  const HostUnderTest host;
  const Words names{"one", "two", "three", "four"};
  for (const std::string& name : names) {
    Json spec = host.firmware(name, "ignore");
    spec["stop"] = {{"grace_period", "1500ms"}};
    host.run_vm(spec);
  }
  const auto began = Clock::now();
  CHECK(host.ok({"host", "stop"}).at("not_stopped") == 0);
  const auto took = Clock::now() - began;
  CHECK(took >= 1500ms);
  CHECK(took < 4500ms);
  CHECK(host.left().empty());
}
