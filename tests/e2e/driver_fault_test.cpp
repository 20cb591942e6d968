#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

namespace {

// A start that misbehaves: its error's message.
std::string failing_start(const HostUnderTest& host, const std::string& behaviour) {
  const Neighbour neighbour(host);
  host.create(host.process("p", {"say", "ready"}, {{"on_start", behaviour}}));
  const Finished started = host.bulkhead({"start", "p", "--json", "--timeout", "1s"});
  INFO(started.out << started.err);
  CHECK(started.code == (behaviour == "hang" ? 4 : 1));
  CHECK(host.state("p") == "failed");
  neighbour.noticed_nothing();
  CHECK(host.left().size() == 3);  // the daemon, and the neighbour's agent and QEMU
  const Json error = Json::parse(started.out).at("error");
  return error.at("message");
}

// A stop that misbehaves: the report.
Json failing_stop(const HostUnderTest& host, const std::string& behaviour) {
  const Neighbour neighbour(host);
  host.run_vm(host.process("p", {"say", "ready"}, {{"on_stop", behaviour}}));
  const std::string run = host.run_of("p");
  const Json report = host.ok({"stop", "p", "--grace", "500ms"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(host.members(run).empty());
  CHECK(host.left().size() == 3);
  neighbour.noticed_nothing();
  return report;
}

std::string ask_detail(const Json& report) { return rung(report, "ask").at("detail"); }

}  // namespace

TEST_CASE("C09: a driver that crashes in start takes down its own agent only") {
  const HostUnderTest host;
  const std::string message = failing_start(host, "crash");
  CHECK(contains(message, "agent"));
  CHECK(contains(message, "signal 11"));
}

TEST_CASE("C09: a driver that exits in start takes down its own agent only") {
  const HostUnderTest host;
  const std::string message = failing_start(host, "exit");
  CHECK(contains(message, "agent"));
  CHECK(contains(message, "exited with code 0"));
}

TEST_CASE("C09: a driver that throws in start fails it with a message and nothing is left") {
  const HostUnderTest host;
  CHECK(contains(failing_start(host, "throw"), "threw something that is not an exception"));
}

TEST_CASE("C09: a driver that hangs in start is given up at the deadline and nothing is left") {
  const HostUnderTest host;
  CHECK(contains(failing_start(host, "hang"), "did not return by its deadline"));
}

TEST_CASE("C09: a driver that fails a start after it made a process has its own words shown and nothing is left") {
  const HostUnderTest host;
  CHECK(contains(failing_start(host, "fail"), "the moon is full"));
}

TEST_CASE("C09: a driver that crashes in stop does not keep its VM from being stopped") {
  const HostUnderTest host;
  CHECK(contains(ask_detail(failing_stop(host, "crash")), "the agent died"));
}

TEST_CASE("C09: a driver that exits in stop does not keep its VM from being stopped") {
  const HostUnderTest host;
  CHECK(contains(ask_detail(failing_stop(host, "exit")), "the agent died"));
}

TEST_CASE("C09: a driver that hangs in stop does not keep its VM from being stopped") {
  const HostUnderTest host;
  const Json report = failing_stop(host, "hang");
  CHECK(duration_of(rung(report, "ask")) < 3'000);
  INFO(ask_detail(report));
  CHECK(contains(ask_detail(report), "did not return by its deadline"));
}

TEST_CASE("C09: a driver that throws in stop does not keep its VM from being stopped") {
  const HostUnderTest host;
  CHECK(contains(ask_detail(failing_stop(host, "throw")), "threw something that is not an exception"));
}

TEST_CASE("C09, I11: a process that the driver forked itself is found and ended also when the agent was killed") {
  const HostUnderTest host(GENERATE(Containment::strongest, Containment::process_group));
  host.run_vm(host.process("p", {"deaf", "say", "ready"}, {{"on_start", "fork"}}));
  const auto agent = host.agent("p");
  const auto leader = host.leader("p");
  std::int64_t forked = 0;
  for (const auto& child : support::children_of(agent)) {
    if (child.name == "bulkhead-agent") forked = child.pid;
  }
  REQUIRE(forked != 0);
  kill_hard(agent);
  REQUIRE(support::alive(forked));
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  CHECK_FALSE(support::alive(forked));
  CHECK_FALSE(support::alive(leader));
}
