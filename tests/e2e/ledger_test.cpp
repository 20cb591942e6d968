#include <fcntl.h>
#include <functional>
#include <sys/file.h>
#include <unistd.h>

#include "e2e/ledger_line.hpp"
#include "e2e/neighbour.hpp"
#include "support/canary.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

TEST_CASE("F12: a ledger whose leader's pid now belongs to another process: it is not touched") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  kill_hard(host.daemon());
  kill_hard(agent);
  kill_hard(pid);
  const Program innocent({.program = TEST_CHILD, .arguments = {}, .env = {}});
  forge_ledger(host.vm_directory("fw") / "ledger.jsonl", [&](Json& record) {
    if (record.contains("identity") && record["identity"].value("pid", std::int64_t{0}) == pid) {
      record["identity"]["pid"] = innocent.pid();
    }
  });
  REQUIRE(contains(support::read_text(host.vm_directory("fw") / "ledger.jsonl"), std::to_string(innocent.pid())));
  CHECK(host.reaches("fw", "stopped"));
  CHECK(support::alive(innocent.pid()));
  host.start("fw");
}

namespace {

// A VM that was stopped, with a ledger that says that it was not, and everybody it names has a successor.
void successors_live(bool in_the_same_tick) {
  CAPTURE(in_the_same_tick);
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  host.ok({"stop", "--force", "p"});
  host.ok({"host", "stop"});
  const fs::path ledger = host.vm_directory("p") / "ledger.jsonl";
  std::vector<std::unique_ptr<support::Canary>> canaries;
  forge_ledger(ledger, [&](Json& record) {
    if (record.at("type") == "end" || record.at("type") == "exited") record = nullptr;
    if (!record.contains("identity")) return;
    const std::int64_t pid = record["identity"]["pid"];
    const auto mark = host.folder() / ("canary-" + std::to_string(pid));
    canaries.push_back(std::make_unique<support::Canary>(pid, TEST_CHILD, mark));
    if (in_the_same_tick) record["identity"]["start_time"] = support::start_time_of(pid);
  });
  REQUIRE(canaries.size() >= 2);  // the agent's, the leader's, and that of a pid namespace's init
  CHECK(host.reaches("p", "stopped"));
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  for (const auto& canary : canaries) CHECK(canary->lives());
  host.start("p");
  host.ok({"stop", "--force", "p"});
  for (const auto& canary : canaries) CHECK(canary->lives());
}

}  // namespace

TEST_CASE("F12: whoever gets the pids that a ledger names is not touched by the next daemon, nor by a forced stop") {
  if (support::Cage::inside()) {
    successors_live(GENERATE(false, true));
    return;
  }
  if (const std::string why = support::Cage::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  if (::geteuid() != 0 && one_containment() == "cgroup") {
    SKIP_BECAUSE("who is not root chooses pids in a user namespace only, in which he may not use his cgroups");
  }
  const Finished finished = support::Cage::run_this_case();
  INFO(finished.out << finished.err);
  CHECK(finished.code == 0);
}

TEST_CASE("F13: pids in a ledger that may never be signalled reach nobody") {
  for (const std::int64_t forged : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}}) {
    CAPTURE(forged);
    const HostUnderTest host;
    host.run_vm(host.firmware("fw"));
    const auto pid = host.leader("fw");
    const auto agent = host.agent("fw");
    kill_hard(host.daemon());
    kill_hard(agent);
    kill_hard(pid);
    const Program innocent({.program = TEST_CHILD, .arguments = {}, .env = {}});
    forge_ledger(host.vm_directory("fw") / "ledger.jsonl", [&](Json& record) {
      if (record.contains("identity") && record["identity"].value("pid", std::int64_t{0}) == pid) {
        record["identity"]["pid"] = forged;
      }
    });
    const std::string state = host.state("fw");
    CHECK((state == "stopped" || state == "stopping" || state == "lost" || state == "failed"));
    CHECK(support::alive(innocent.pid()));
    // What is left of this run cannot be ended by the host when it is lost: the folder goes with the test.
    if (host.state("fw") == "lost") fs::remove_all(host.runtime() / "bulkhead");
  }
}

TEST_CASE("I2: a ledger that names the cgroup of another VM as its own does not reach that VM") {
  const HostUnderTest host;
  const Neighbour neighbour(host);
  if (host.mechanism() != "cgroup") SKIP_BECAUSE("it is about cgroup");
  host.run_vm(host.firmware("fw"));
  const std::string own = host.run_of("fw");
  const std::string other = host.run_of("neighbour");
  const std::string truth = support::read_text(host.vm_directory("fw") / "ledger.jsonl");
  kill_hard(host.daemon());
  forge_ledger(host.vm_directory("fw") / "ledger.jsonl", [&](Json& record) {
    std::string cgroup = record.value("cgroup", "");
    if (const auto at = cgroup.find(own); at != std::string::npos)
      record["cgroup"] = cgroup.replace(at, own.size(), other);
  });
  CHECK(host.bulkhead({"stop", "--force", "fw"}).code == 1);
  CHECK(host.state("fw") == "lost");
  neighbour.noticed_no_crash();
  // Nothing of it was touched: with its true ledger it is adopted and can be stopped.
  kill_hard(host.daemon());
  support::write_text(host.vm_directory("fw") / "ledger.jsonl", truth);
  CHECK(host.state("fw") == "running");
}

TEST_CASE("C07: after a reboot nothing of the old boot is signalled, and a start works") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  const std::string run = host.run_of("p");
  const auto pid = host.leader("p");
  const auto agent = host.agent("p");
  kill_hard(host.daemon());
  kill_hard(agent);
  kill_hard(pid);
  support::end_all(run);  // the init of its pid namespace
  const Program innocent({.program = TEST_CHILD, .arguments = {}, .env = {}});
  forge_ledger(host.vm_directory("p") / "ledger.jsonl", [&](Json& record) {
    const std::string other = "00000000-0000-0000-0000-000000000000";
    if (record.contains("boot_id")) record["boot_id"] = other;
    if (!record.contains("identity")) return;
    record["identity"]["boot_id"] = other;
    record["identity"]["pid"] = innocent.pid();
  });
  CHECK(host.reaches("p", "stopped"));
  CHECK(support::alive(innocent.pid()));
  host.start("p");
}

TEST_CASE("C12: a ledger that is damaged makes the VM lost, with the reason, and nothing is ended or deleted") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto pid = host.leader("fw");
  const fs::path ledger = host.vm_directory("fw") / "ledger.jsonl";
  const std::string whole = support::read_text(ledger);
  kill_hard(host.daemon());
  std::string damaged = whole;
  damaged[20] ^= 1;
  support::write_text(ledger, damaged);
  const Json info = host.info("fw");
  CHECK(info.at("state") == "lost");
  CHECK(contains(info.at("why"), "damaged"));
  for (const Words& words :
       {Words{"start", "fw"}, {"stop", "fw"}, {"stop", "--force", "fw"}, {"remove", "--force", "fw"}}) {
    CHECK(host.bulkhead(words).code == 1);
  }
  CHECK(support::alive(pid));
  CHECK(support::read_text(ledger) == damaged);

  kill_hard(host.daemon());
  support::write_text(ledger, whole);
  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == pid);
}

TEST_CASE("I3, C03: a run whose lock somebody holds is not reported as stopped") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"deaf", "say", "ready"}));
  const std::string run = host.run_of("p");
  const auto leader = host.leader("p");
  const auto agent = host.agent("p");
  kill_hard(host.daemon());
  kill_hard(agent);
  kill_hard(leader);
  support::end_all(run);  // the init of its pid namespace, which holds the lock too
  // As a process would that is known by nothing else.
  const int held = ::open((host.vm_directory("p") / "run.lock").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(eventually([&] { return ::flock(held, LOCK_EX | LOCK_NB) == 0; }));
  CHECK(host.reaches("p", "stuck"));
  CHECK(contains(host.info("p").at("why"), "somebody holds the run's lock"));
  ::close(held);
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
}

TEST_CASE("I2, C03: a daemon in another pid namespace neither ends a VM nor calls it stopped") {
  if (::geteuid() != 0) SKIP_BECAUSE("only root can start a program in another pid namespace here");
  const HostUnderTest host;
  host.run_vm(host.process("p", {"deaf", "say", "ready"}));
  const auto leader = host.leader("p");
  const auto agent = host.agent("p");
  const auto files = host.sockets_and_folders();
  kill_hard(host.daemon());
  const std::string script = "bulkhead info p --json; bulkhead stop --force p; bulkhead host stop >&2";
  Words words{"--pid", "--fork", "/bin/sh", "-c", script};
  // Otherwise /proc shows the pids of the namespace outside.
  if (GENERATE(true, false)) words.insert(words.begin(), "--mount-proc");
  const Finished elsewhere = support::run(host.command("/usr/bin/unshare", words));
  INFO(elsewhere.out << elsewhere.err);
  CHECK(Json::parse(elsewhere.out).at("state") == "lost");
  CHECK(contains(elsewhere.err, "another pid namespace"));
  CHECK(support::alive(leader));
  CHECK(support::alive(agent));
  CHECK(host.sockets_and_folders() == files);
  CHECK(host.state("p") == "running");
  CHECK(host.leader("p") == leader);
}
