#include "e2e/neighbour.hpp"
#include "support/typist.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

namespace {

bool has_a_new_agent(const HostUnderTest& host, const std::string& name, std::int64_t old) {
  return eventually([&] {
    const Json agent = host.info(name).at("run").at("agent");
    return agent.at("alive") == true && agent.at("pid") != old;
  });
}

bool warns(const HostUnderTest& host, const std::string& name, const std::string& part) {
  return eventually([&] {
    const Json info = host.info(name);
    for (const Json& warning : info.at("warnings")) {
      if (contains(warning, part)) return true;
    }
    return false;
  });
}

}  // namespace

TEST_CASE("C01: a VM whose agent is killed gets a new one, is not rebooted, and obeys when asked to stop") {
  const HostUnderTest host;
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const std::string run = host.run_of("fw");
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  kill_hard(agent);
  REQUIRE(has_a_new_agent(host, "fw", agent));
  CHECK(warns(host, "fw", "a new one has taken over"));
  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == pid);
  CHECK(host.run_of("fw") == run);
  CHECK(support::alive(pid));
  CHECK(host.boot_of("fw") == boot);
  neighbour.noticed_nothing();

  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "ask");
  CHECK(report.at("evidence").size() >= 2);
  CHECK(host.members(run).empty());
  CHECK_FALSE(support::alive(pid));
  neighbour.noticed_nothing();
}

TEST_CASE("a guest that is reset says another boot id: what shows that it was not rebooted can fail") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  CHECK(host.boot_of("fw") == boot);
  const Json socket = host.info("fw").at("run").at("driver_says").at("console").at("socket");
  {
    const support::Typist typist(socket.get<std::string>(), "r");
    REQUIRE(eventually([&] { return support::occurrences(host.console("fw"), "READY") == 2; }));
  }
  CHECK(host.boot_of("fw") != boot);
}

TEST_CASE("C01 C02 C03: the shell of a Linux guest answers from the same boot whatever of its host is killed") {
  const HostUnderTest host;
  host.run_vm(host.linux_guest("linux", "bulkhead.shell"));
  const std::string boot = host.boot_of("linux");
  const auto pid = host.leader("linux");
  const auto first = host.agent("linux");
  kill_hard(first);
  REQUIRE(has_a_new_agent(host, "linux", first));
  CHECK(host.boot_of("linux") == boot);
  kill_hard(host.daemon());
  CHECK(host.boot_of("linux") == boot);
  const auto second = host.agent("linux");
  kill_hard(host.daemon());
  kill_hard(second);
  REQUIRE(has_a_new_agent(host, "linux", second));
  CHECK(host.leader("linux") == pid);
  CHECK(host.boot_of("linux") == boot);
  CHECK(host.ok({"stop", "linux"}).at("rung") == "ask");
}

TEST_CASE("C01: a VM with a new agent is stopped by force, with proof") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "spin"));
  const std::string run = host.run_of("fw");
  const auto agent = host.agent("fw");
  kill_hard(agent);
  REQUIRE(has_a_new_agent(host, "fw", agent));
  REQUIRE(warns(host, "fw", "a new one has taken over"));
  const Json report = host.ok({"stop", "--force", "fw"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "force");
  // The new agent is nobody's subreaper: its word that it has no child is no evidence.
  for (const Json& line : report.at("evidence")) CHECK_FALSE(contains(line.at("says"), "ECHILD"));
  CHECK(host.members(run).empty());
}

TEST_CASE("C01: a QEMU that dies after its agent was replaced is noticed, and the VM has failed") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto agent = host.agent("fw");
  kill_hard(agent);
  REQUIRE(has_a_new_agent(host, "fw", agent));
  REQUIRE(warns(host, "fw", "a new one has taken over"));
  kill_hard(host.leader("fw"));
  CHECK(host.reaches("fw", "failed"));
  host.start("fw");
  CHECK(host.ok({"stop", "--force", "fw"}).at("outcome") == "stopped");
}

TEST_CASE("C01: a guest that shuts down after its agent was replaced has stopped, and not failed") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto agent = host.agent("fw");
  kill_hard(agent);
  REQUIRE(has_a_new_agent(host, "fw", agent));
  REQUIRE(warns(host, "fw", "a new one has taken over"));
  CHECK(contains(host.bulkhead({"console", "fw"}, "p").out, "POWEROFF"));
  CHECK(host.reaches("fw", "stopped"));
  CHECK(host.info("fw").at("last_stop").at("reason") == "the guest shut down");
}

TEST_CASE("C01: agents that die one after the other are replaced only so often, and the VM can be stopped") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  for (int i = 0; i < 3; ++i) {
    const auto agent = host.agent("fw");
    kill_hard(agent);
    REQUIRE(has_a_new_agent(host, "fw", agent));
  }
  kill_hard(host.agent("fw"));
  CHECK(warns(host, "fw", "can only be stopped by force"));
  CHECK(support::alive(pid));
  CHECK(host.boot_of("fw") == boot);
  CHECK(host.ok({"stop", "fw"}).at("rung") == "kill");
  CHECK_FALSE(support::alive(pid));
}

TEST_CASE("C03: a VM whose agent was killed with the daemon gets a new agent from the next daemon") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  const auto daemon = host.daemon();
  kill_hard(daemon);
  kill_hard(agent);
  REQUIRE(has_a_new_agent(host, "fw", agent));
  CHECK(host.leader("fw") == pid);
  CHECK(host.boot_of("fw") == boot);
  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("rung") == "ask");
}

TEST_CASE(
    "C01: a driver that cannot recover leaves its VM running without an agent, and it can be stopped with proof") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  const std::string run = host.run_of("p");
  const auto pid = host.leader("p");
  kill_hard(host.agent("p"));
  REQUIRE(eventually([&] { return host.info("p").at("run").at("agent").at("alive") == false; }));
  CHECK(warns(host, "p", "can only be stopped by force"));
  CHECK(support::alive(pid));
  CHECK(host.ok({"stop", "p"}).at("rung") == "kill");
  CHECK(host.members(run).empty());
}

TEST_CASE(
    "C03: a daemon killed before its new agent has taken over: the next one has it do so, and believes no ECHILD") {
#ifndef BULKHEAD_FAILPOINTS
  SKIP_BECAUSE("built without failpoints");
#endif
  const HostUnderTest host;
  const auto mark = host.folder() / "reached";
  auto daemon = host.command(program_path("bulkhead"), {"host", "start"});
  daemon.env["BULKHEAD_FAILPOINT"] = "daemon/take_over/1";
  daemon.env["BULKHEAD_FAILPOINT_MARK"] = mark.string();
  REQUIRE(support::run(std::move(daemon)).code == 0);
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  kill_hard(host.agent("fw"));
  REQUIRE(eventually([&] { return std::filesystem::exists(mark); }));
  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == pid);
  CHECK(host.boot_of("fw") == boot);
  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("rung") == "ask");
  const Json& evidence = report.at("evidence");
  for (const Json& line : evidence) CHECK_FALSE(contains(line.at("says"), "ECHILD"));
}

TEST_CASE("C01: an agent killed while the driver starts leaves nothing and a later start works") {
  const HostUnderTest host;
  host.create(host.process("p", {"say", "ready"}, {{"on_start", "hang"}}));
  const auto starting = host.begin({"start", "p", "--json"});
  REQUIRE(host.console_says("p", "ready"));
  kill_hard(host.agent("p"));
  const Finished started = starting->wait();
  CHECK(started.code == 1);
  CHECK(contains(started.out, "agent"));
  CHECK(host.state("p") == "failed");
  CHECK(host.left().size() == 1);
  CHECK(host.sockets_and_folders().empty());
}

TEST_CASE("C02: a killed daemon leaves its VMs running and the next command adopts them") {
  const HostUnderTest host;
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  const auto daemon = host.daemon();
  kill_hard(daemon);
  CHECK(support::alive(pid));
  CHECK(support::alive(agent));

  CHECK(host.state("fw") == "running");
  CHECK(host.daemon() != daemon);
  CHECK(host.leader("fw") == pid);
  CHECK(host.agent("fw") == agent);
  CHECK(host.boot_of("fw") == boot);
  neighbour.noticed_no_crash();
  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("rung") == "ask");
  CHECK(contains(host.console("fw"), "POWEROFF"));
  neighbour.noticed_no_crash();
}

TEST_CASE("C02: a daemon killed in the middle of a stop: the next one knows the VM and ends it when asked") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  const auto stopping = host.begin({"stop", "fw"});
  REQUIRE(host.console_says("fw", "POWERBUTTON"));
  kill_hard(host.daemon());
  CHECK(stopping->wait().code == 1);
  CHECK(support::alive(pid));
  CHECK(host.boot_of("fw") == boot);
  CHECK(host.ok({"stop", "--force", "fw"}).at("outcome") == "stopped");
  CHECK_FALSE(support::alive(pid));
}

TEST_CASE(
    "C03: a killed daemon and a killed agent: the next daemon finds the VM, never starts a second, and can stop it") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const std::string run = host.run_of("fw");
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  kill_hard(host.daemon());
  kill_hard(agent);
  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == pid);
  CHECK(host.failing(1, {"start", "fw"}).at("code") == "busy");
  CHECK(host.members(run).size() == 1);
  CHECK(host.boot_of("fw") == boot);
  CHECK(host.ok({"stop", "fw"}).at("outcome") == "stopped");
  CHECK(host.members(run).empty());
}

TEST_CASE("C03: all of a VM killed with its daemon: the next daemon sweeps what is left and a start works") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  kill_hard(host.daemon());
  kill_hard(agent);
  kill_hard(pid);
  CHECK_FALSE(host.sockets_and_folders().empty());
  REQUIRE(host.reaches("fw", "stopped"));
  CHECK(host.sockets_and_folders().empty());
  host.start("fw");
}

TEST_CASE("C04: a killed QEMU is noticed and swept, and the VM has failed with the reason") {
  const HostUnderTest host;
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  const auto agent = host.agent("fw");
  kill_hard(host.leader("fw"));
  REQUIRE(host.reaches("fw", "failed"));
  CHECK(contains(host.info("fw").at("why"), "killed by signal 9"));
  CHECK(host.members(run).empty());
  CHECK_FALSE(support::alive(agent));
  for (const std::string& path : host.sockets_and_folders()) CHECK_FALSE(contains(path, run.substr(0, 8)));
  neighbour.noticed_nothing();
  host.start("fw");
}

TEST_CASE("D02: the locks of a VM whose agent and QEMU are killed are free at once, and a start works") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  const auto disk = host.folder() / "disk.raw";
  support::write_text(disk, std::string(1 << 20, '\0'));
  Json spec = host.firmware("fw");
  spec["disks"] = {{{"path", disk.string()}, {"format", "raw"}}};
  host.run_vm(spec);
  const auto run_lock = host.vm_directory("fw") / "run.lock";
  CHECK(support::locked(disk));
  CHECK(support::locked(run_lock));
  const auto agent = host.agent("fw");
  const auto leader = host.leader("fw");
  kill_hard(agent);
  CHECK(support::locked(disk));
  CHECK(support::locked(run_lock));
  kill_hard(leader);
  CHECK(eventually([&] { return !support::locked(disk); }));  // nobody releases it but the kernel
  // The init of a pid namespace holds it until it is swept.
  if (host.mechanism() != "pid-namespace") CHECK_FALSE(support::locked(run_lock));
  REQUIRE(host.reaches("fw", "failed"));
  CHECK_FALSE(support::locked(run_lock));
  CHECK(host.sockets_and_folders().empty());
  host.start("fw");
  CHECK(support::locked(disk));
  CHECK(support::locked(run_lock));
}

TEST_CASE("D02: what a killed daemon, agent and QEMU leave is swept and a start works") {
  const HostUnderTest host;
  const auto disk = host.folder() / "disk.raw";
  support::write_text(disk, std::string(1 << 20, '\0'));
  Json spec = host.firmware("fw");
  spec["disks"] = {{{"path", disk.string()}, {"format", "raw"}}};
  host.run_vm(spec);
  const auto agent = host.agent("fw");
  const auto leader = host.leader("fw");
  kill_hard(host.daemon());
  kill_hard(agent);
  kill_hard(leader);
  CHECK_FALSE(support::locked(disk));
  REQUIRE(host.reaches("fw", "stopped"));
  host.start("fw");
  CHECK(support::locked(disk));
}

TEST_CASE("C05: a daemon told to stop with its VMs kept leaves them, and the next one adopts them") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  const auto daemon = host.daemon();
  CHECK(host.ok({"host", "stop", "--keep-vms"}).at("kept") == 1);
  CHECK_FALSE(support::alive(daemon));
  CHECK(support::alive(pid));
  CHECK(host.failing(1, {"info", "nobody"}).at("code") == "not_found");  // starts the next daemon
  CHECK(host.leader("fw") == pid);
  CHECK(host.boot_of("fw") == boot);
  CHECK(host.ok({"stop", "fw"}).at("rung") == "ask");
}

TEST_CASE("C06: a daemon that gets SIGTERM stops its VMs and ends") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto daemon = host.daemon();
  REQUIRE(::kill(static_cast<pid_t>(daemon), SIGTERM) == 0);
  CHECK(eventually([&] { return !support::alive(daemon); }));
  CHECK(contains(host.console("fw"), "POWEROFF"));
  CHECK(host.left().empty());
}

TEST_CASE("C10: a second daemon for a home refuses and names the first") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto first = host.daemon();
  const Finished second = support::run(host.command(program_path("bulkheadd"), {}));
  CHECK(second.code == 1);
  CHECK(contains(second.err, "pid " + std::to_string(first)));
  CHECK(contains(second.err, host.home().string()));
  CHECK(host.daemon() == first);
  CHECK(host.state("fw") == "running");
}

TEST_CASE("C10: commands that start the daemon at the same moment all succeed and there is one daemon") {
  const HostUnderTest host;
  std::vector<std::unique_ptr<Program>> all;
  for (int i = 0; i < 4; ++i) all.push_back(host.begin({"list"}));
  for (const auto& one : all) {
    const Finished finished = one->wait();
    INFO(finished.err);
    CHECK(finished.code == 0);
  }
  CHECK(host.left().size() == 1);
}
