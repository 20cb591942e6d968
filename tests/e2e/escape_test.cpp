#include <chrono>
#include <unistd.h>

#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

enum class Agent { alive, killed };

struct Circumstances {
  Containment containment;
  Agent agent;
};

std::ostream& operator<<(std::ostream& out, const Circumstances& c) {
  return out << (c.containment == Containment::strongest ? "strongest containment" : "process group") << ", agent "
             << (c.agent == Agent::alive ? "alive" : "killed");
}

// VMs whose processes do their best to get away.
class Escape {
 public:
  explicit Escape(Circumstances circumstances)
      : circumstances_(circumstances), host_(circumstances.containment), neighbour_(host_) {}

  void run(const Words& actions) {
    host_.run_vm(host_.process("p", actions));
    run_ = host_.run_of("p");
    if (circumstances_.agent == Agent::killed) kill_hard(host_.agent("p"));
  }
  const HostUnderTest& host() const { return host_; }
  std::vector<support::Seen> members() const { return host_.members(run_); }

  Json force() const { return host_.ok({"stop", "--force", "p"}); }

  void is_gone() const {
    CHECK(members() == std::vector<support::Seen>{});
    for (const std::string& path : host_.sockets_and_folders()) {
      CHECK_FALSE(contains(path, run_.substr(0, 8)));
    }
    neighbour_.noticed_nothing();
  }

 private:
  Circumstances circumstances_;
  HostUnderTest host_;
  Neighbour neighbour_;
  std::string run_;
};

Circumstances each_of_four() {
  const Containment containment = GENERATE(from_range(containments()));
  return {containment, GENERATE(Agent::alive, Agent::killed)};
}

}  // namespace

TEST_CASE("F06: two that left and start each other again are ended together") {
  const Circumstances circumstances = each_of_four();
  CAPTURE(circumstances);
  Escape escape(circumstances);
  escape.run({"deaf", "phoenix", "say", "ready"});
  REQUIRE(eventually([&] { return escape.members().size() == 3; }));
  const auto leader = escape.host().leader("p");
  std::vector<std::int64_t> pair;
  for (const auto& seen : escape.members()) {
    if (seen.pid != leader) pair.push_back(seen.pid);
  }
  // They are what they are said to be: one that dies is replaced, whichever it is.
  for (const auto pid : pair) {
    kill_hard(pid);
    REQUIRE(eventually([&] { return escape.members().size() == 3; }));
  }
  CHECK(escape.force().at("outcome") == "stopped");
  escape.is_gone();
}

TEST_CASE("F06: two hundred that left, deaf and with closed descriptors, are ended") {
  const Circumstances circumstances = each_of_four();
  CAPTURE(circumstances);
  Escape escape(circumstances);
  escape.run({"crowd", "200", "say", "ready"});
  REQUIRE(escape.members().size() == 201);
  CHECK(escape.force().at("outcome") == "stopped");
  escape.is_gone();
}

TEST_CASE("F06: many that left, each with its first thread ended, are ended") {
  const Circumstances circumstances = each_of_four();
  CAPTURE(circumstances);
  Escape escape(circumstances);
  escape.run({"leaderless-crowd", "40", "say", "ready"});
  REQUIRE(eventually([&] {
    const auto members = escape.members();
    return members.size() == 41 && std::ranges::count(members, 'Z', &support::Seen::state) == 40;
  }));
  CHECK(escape.force().at("outcome") == "stopped");
  escape.is_gone();
}

TEST_CASE("F06: a leader that closed the lock it inherited is still its VM's, and there is no second") {
  const Circumstances circumstances = each_of_four();
  CAPTURE(circumstances);
  Escape escape(circumstances);
  const HostUnderTest& host = escape.host();
  escape.run({"deaf", "say", "ready", "close-fds"});
  const auto leader = host.leader("p");
  REQUIRE(eventually([&] { return fs::is_empty("/proc/" + std::to_string(leader) + "/fd"); }));
  CHECK(host.failing(1, {"start", "p"}).at("code") == "busy");
  CHECK(escape.members().size() == 1);
  CHECK(escape.force().at("outcome") == "stopped");
  CHECK_FALSE(support::alive(leader));
  escape.is_gone();
}

TEST_CASE("C03: a leader that closed the lock it inherited is found by the next daemon when nobody holds the lock") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.process("p", {"deaf", "say", "ready", "close-fds"}));
  if (host.mechanism() == "pid-namespace") SKIP_BECAUSE("the init of the pid namespace holds the lock, too");
  const std::string run = host.run_of("p");
  const auto leader = host.leader("p");
  REQUIRE(eventually([&] { return fs::is_empty("/proc/" + std::to_string(leader) + "/fd"); }));
  const auto agent = host.agent("p");
  kill_hard(host.daemon());
  kill_hard(agent);
  // The threads of a killed program end one after the other.
  REQUIRE(eventually([&] { return !support::locked(host.vm_directory("p") / "run.lock"); }));
  CHECK(host.failing(1, {"start", "p"}).at("code") == "busy");
  CHECK(host.leader("p") == leader);
  CHECK(host.members(run).size() == 1);
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  CHECK_FALSE(support::alive(leader));
}

TEST_CASE("F06: a root process that leaves its cgroup, and what it starts then, are ended") {
  const auto agent = GENERATE(Agent::alive, Agent::killed);
  Escape escape({Containment::strongest, agent});
  if (::geteuid() != 0 || escape.host().mechanism() != "cgroup")
    SKIP_BECAUSE("only root can leave its cgroup, where there are any");
  escape.run({"deaf", "mover", "daemonise", "crowd", "5", "say", "ready"});
  const HostUnderTest& host = escape.host();
  REQUIRE(escape.members().size() == 7);
  for (const auto& seen : escape.members()) {
    const std::string cgroups = support::read_text("/proc/" + std::to_string(seen.pid) + "/cgroup");
    REQUIRE_FALSE(contains(cgroups, host.run_of("p")));
  }
  CHECK(escape.force().at("outcome") == "stopped");
  escape.is_gone();
}

namespace {

// Processes that left, and of which each starts the next and exits. They write as long as they are there.
class Comet {
 public:
  Comet(Escape& escape, const std::string& seconds) : traces_(escape.host().folder() / "traces") {
    escape.run({"deaf", "comet", "2", seconds, traces_.string(), "say", "ready"});
    REQUIRE(is_there());
  }
  // False: nothing is written in far more time than a process of it takes.
  bool is_there() const {
    const auto before = fs::file_size(traces_);
    return eventually(500ms, [&] { return fs::file_size(traces_) > before; });
  }

 private:
  fs::path traces_;
};

}  // namespace

TEST_CASE("F07: a storm that left the group, each process in its own session, is ended") {
  const Circumstances circumstances = each_of_four();
  CAPTURE(circumstances);
  Escape escape(circumstances);
  if (circumstances.agent == Agent::killed && escape.host().mechanism() == "process-group") {
    SKIP_BECAUSE("with no agent and no kernel object it is not promised; see the next case");
  }
  const Comet comet(escape, "60");
  CHECK(escape.force().at("outcome") == "stopped");
  CHECK_FALSE(comet.is_there());
  escape.is_gone();
}

TEST_CASE("I3, F07: with no agent and no cgroup a storm that left is not reported as stopped while it is there") {
  if (run_elsewhere(Containment::process_group)) SKIP_BECAUSE("it is about process-group, and run there");
  Escape escape({Containment::process_group, Agent::killed});
  const Comet comet(escape, "25");
  const HostUnderTest& host = escape.host();
  const Finished finished = host.bulkhead({"stop", "--force", "p", "--json"});
  INFO(finished.out << finished.err);
  const Json report = Json::parse(finished.out);
  const bool there = comet.is_there();
  if (report.at("outcome") == "stopped") {
    CHECK_FALSE(there);
  } else {
    CHECK(report.at("outcome") == "stuck");
    CHECK(host.state("p") == "stuck");
    CHECK_FALSE(contains(support::read_text(host.vm_directory("p") / "ledger.jsonl"), R"("type":"end")"));
  }
  // It ends by itself in the end, and then the truth can be told.
  REQUIRE(eventually(40s, [&] { return !comet.is_there(); }));
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  escape.is_gone();
}
