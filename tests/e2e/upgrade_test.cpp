#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

namespace {

// The daemon of another installation, on this home: what it starts has that one's agent.
void start_host_of(const std::string& installation, const HostUnderTest& host) {
  const std::string program = std::string(OTHER_INSTALLATIONS) + "/" + installation + "/bin/bulkhead";
  const Finished started = support::run(host.command(program, {"host", "start"}));
  INFO(started.out << started.err);
  REQUIRE(started.code == 0);
}

std::string agent_version(const HostUnderTest& host, const std::string& name) {
  return host.info(name).at("run").at("agent").value("version", "");
}

enum class End { killed, keeps_vms };

// From here on, a daemon of the programs under test serves the home.
void upgrade(const HostUnderTest& host, End end) {
  const auto daemon = host.daemon();
  if (end == End::killed) {
    kill_hard(daemon);
  } else {
    host.ok({"host", "stop", "--keep-vms"});
    REQUIRE(eventually([&] { return !support::alive(daemon); }));
  }
  CHECK(host.bulkhead({"host", "start"}).code == 0);
  CHECK(host.daemon() != daemon);
}

std::string warnings(const HostUnderTest& host, const std::string& name) {
  return host.info(name).at("warnings").dump();
}

}  // namespace

TEST_CASE("C11: a VM whose agent is older than the daemon is adopted, and obeys when asked to stop") {
  const End end = GENERATE(End::killed, End::keeps_vms);
  const HostUnderTest host;
  start_host_of("older", host);
  host.run_vm(host.firmware("fw"));
  host.run_vm(host.linux_guest("linux"));
  CHECK(agent_version(host, "fw") == "0.0.1");
  const auto leader = host.leader("fw");
  const auto agent = host.agent("fw");
  const std::string boot = host.boot_of("fw");
  upgrade(host, end);

  CHECK(host.state("fw") == "running");
  CHECK(host.state("linux") == "running");
  CHECK(host.leader("fw") == leader);
  CHECK(host.agent("fw") == agent);
  CHECK(host.boot_of("fw") == boot);
  CHECK(agent_version(host, "fw") == "0.0.1");
  CHECK_FALSE(contains(warnings(host, "fw"), "agent"));
  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("rung") == "ask");
  CHECK(contains(host.console("fw"), "POWEROFF"));
  CHECK(host.ok({"stop", "linux"}).at("rung") == "ask");

  // What is started now has the agent of this installation.
  host.start("fw");
  CHECK(agent_version(host, "fw") != "0.0.1");
  CHECK(agent_version(host, "fw") != "");
}

TEST_CASE("C11: an older agent that dies is replaced by one of this installation") {
  const HostUnderTest host;
  start_host_of("older", host);
  host.run_vm(host.firmware("fw"));
  const auto leader = host.leader("fw");
  const auto agent = host.agent("fw");
  upgrade(host, End::killed);
  REQUIRE(host.agent("fw") == agent);
  kill_hard(agent);
  REQUIRE(eventually([&] { return contains(warnings(host, "fw"), "a new one has taken over"); }));
  CHECK(agent_version(host, "fw") != "0.0.1");
  CHECK(host.leader("fw") == leader);
  CHECK(host.ok({"stop", "fw"}).at("rung") == "ask");
}

TEST_CASE("C11: the VM of an agent whose protocol is not known runs on, is told of, and can be stopped by force") {
  const HostUnderTest host;
  start_host_of("newer", host);
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  const auto leader = host.leader("fw");
  const auto agent = host.agent("fw");
  upgrade(host, End::killed);

  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == leader);
  CHECK(host.agent("fw") == agent);
  CHECK(agent_version(host, "fw") == "99.0.0");
  CHECK(contains(warnings(host, "fw"), "speaks protocol 2"));
  CHECK(host.failing(1, {"start", "fw"}).at("code") == "busy");
  CHECK(support::alive(leader));
  CHECK(support::alive(agent));
  const Json report = host.ok({"stop", "--force", "fw"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "kill");
  CHECK(host.members(run).empty());
  CHECK_FALSE(support::alive(agent));
  host.start("fw");
}
