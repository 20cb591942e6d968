#include "support/unkillable.hpp"

#include <chrono>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace support = bulkhead::support;
using Clock = std::chrono::steady_clock;

namespace {

Json with_disk(const std::string& name, const fs::path& disk) {
  Json spec = HostUnderTest::firmware(name);
  spec["disks"] = {{{"path", disk.string()}, {"format", "raw"}}};
  return spec;
}

// A forced stop that ends as stuck: its report.
Json stuck_stop(const HostUnderTest& host, const std::string& name) {
  const Finished finished = host.bulkhead({"stop", "--force", name, "--json"});
  INFO(finished.out << finished.err);
  REQUIRE(finished.code == 1);
  Json report = Json::parse(finished.out);
  REQUIRE(report.at("outcome") == "stuck");
  CHECK(report.at("evidence").empty());
  CHECK(rung(report, "kill").at("outcome") == "refused");
  CHECK(rung(report, "clean").is_null());
  return report;
}

void names_the_survivor(const Json& report, std::int64_t pid) {
  INFO(report.dump(2));
  REQUIRE(report.at("survivors").size() == 1);
  const Json survivor = report.at("survivors")[0];
  const std::string proc = "/proc/" + std::to_string(pid);
  CHECK(survivor.at("pid") == pid);
  CHECK(survivor.at("name").get<std::string>() + "\n" == support::read_text(proc + "/comm"));
  CHECK(survivor.at("state") == std::string(1, support::state_of(pid)));
  const std::string waits_for = support::read_text(proc + "/wchan");
  CHECK(survivor.at("waits_for") == (waits_for == "0" ? "" : waits_for));
  CHECK(contains(report.at("why"), "pid " + std::to_string(pid)));
}

// D03: a VM that is not proved dead keeps what is its own.
void is_kept(const HostUnderTest& host, const std::string& name, const std::string& run, const fs::path& disk) {
  CHECK(host.state(name) == "stuck");
  CHECK(host.ok({"list"}).at("vms")[0].at("state") == "stuck");
  CHECK(support::locked(disk));
  CHECK(support::locked(host.vm_directory(name) / "run.lock"));
  CHECK_FALSE(contains(support::read_text(host.vm_directory(name) / "ledger.jsonl"), R"("type":"end")"));
  std::size_t sockets = 0;
  for (const std::string& path : host.sockets_and_folders()) {
    sockets += contains(path, run.substr(0, 8)) && fs::is_socket(path) ? 1 : 0;
  }
  CHECK(sockets >= 3);
}

void is_gone(const HostUnderTest& host, const std::string& run) {
  CHECK(host.members(run) == std::vector<support::Seen>{});
  CHECK(host.sockets_and_folders() == std::vector<std::string>{});
}

template <class Hold>
void is_stuck_until_let_go(Containment containment) {
  if (const std::string why = Hold::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const HostUnderTest host(containment);
  const fs::path disk = host.folder() / "disk.raw";
  support::write_text(disk, std::string(1 << 20, '\0'));
  host.run_vm(with_disk("one", disk));
  host.create(with_disk("two", disk));
  const std::string run = host.run_of("one");
  const auto pid = host.leader("one");
  Hold hold(pid);

  const auto began = Clock::now();
  const Json report = stuck_stop(host, "one");
  CHECK(Clock::now() - began < 30s);  // force 7 s, kill 7 s, prove 10 s
  REQUIRE(support::alive(pid));
  names_the_survivor(report, pid);
  CHECK(host.info("one").at("last_stop") == report);
  is_kept(host, "one", run, disk);
  CHECK(host.failing(1, {"start", "one"}).at("code") == "busy");
  CHECK(contains(host.failing(1, {"start", "two"}).at("message"), "in use by 'one'"));
  CHECK(host.failing(1, {"remove", "one"}).at("code") == "busy");
  CHECK(support::alive(pid));

  kill_hard(host.daemon());
  is_kept(host, "one", run, disk);
  CHECK(host.failing(1, {"start", "one"}).at("code") == "busy");

  hold.let_go();
  REQUIRE(eventually([&] { return !support::alive(pid); }));
  CHECK(host.ok({"stop", "--force", "one"}).at("outcome") == "stopped");
  CHECK(host.state("one") == "stopped");
  is_gone(host, run);
  CHECK_FALSE(support::locked(disk));
  host.start("two");
}

template <class Hold>
void is_waited_for(Containment containment) {
  if (const std::string why = Hold::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const HostUnderTest host(containment);
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  const auto pid = host.leader("fw");
  Hold hold(pid);
  const auto stopping = host.begin({"stop", "--force", "fw", "--json"});
  REQUIRE(host.reaches("fw", "stopping"));
  CHECK_FALSE(eventually(1500ms, [&] { return host.state("fw") != "stopping"; }));
  CHECK(support::alive(pid));
  CHECK_FALSE(host.sockets_and_folders().empty());
  hold.let_go();
  const Finished finished = stopping->wait();
  INFO(finished.out << finished.err);
  REQUIRE(finished.code == 0);
  const Json report = Json::parse(finished.out);
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "force");
  CHECK(report.at("survivors").empty());
  CHECK(report.at("duration_ms") >= 1500);
  CHECK_FALSE(support::alive(pid));
  is_gone(host, run);
}

}  // namespace

TEST_CASE("F09, D03: a VM whose process stands still at its exit is stuck, keeps all, and is ended later") {
  is_stuck_until_let_go<support::HeldAtExit>(Containment::strongest);
}

TEST_CASE("F09, D03: the same without cgroups") {
  if (one_containment()) SKIP_BECAUSE("the case before this one is run on each containment");
  is_stuck_until_let_go<support::HeldAtExit>(Containment::process_group);
}

TEST_CASE("F09, D03: a VM whose process the kernel has frozen is stuck, keeps all, and is ended later") {
  is_stuck_until_let_go<support::Frozen>(Containment::strongest);
}

TEST_CASE("F09: a process that its user may not kill leaves the VM stuck until it ends") {
  const char* const program = std::getenv("BULKHEAD_TEST_SETUID_CHILD");
  if (program == nullptr || ::geteuid() == 0) {
    SKIP_BECAUSE("needs a user other than root, and a setuid-root copy of test_child in BULKHEAD_TEST_SETUID_CHILD");
  }
  if (run_elsewhere(Containment::process_group)) SKIP_BECAUSE("it is about process-group, and run there");
  const HostUnderTest host(Containment::process_group);
  const fs::path end = host.folder() / "end";
  REQUIRE(::mkfifo(end.c_str(), S_IRUSR | S_IWUSR) == 0);
  Json spec = host.process("p", {"become-root", "say", "ready", "until", end.string()});
  spec["options"]["program"] = program;
  host.run_vm(spec);
  const std::string run = host.run_of("p");
  const auto pid = host.leader("p");
  const Json report = stuck_stop(host, "p");
  INFO(report.dump(2));
  REQUIRE(support::alive(pid));
  names_the_survivor(report, pid);
  CHECK(contains(rung(report, "kill").at("detail"), "not permitted"));
  CHECK(host.state("p") == "stuck");
  CHECK(support::locked(host.vm_directory("p") / "run.lock"));
  CHECK(host.failing(1, {"start", "p"}).at("code") == "busy");
  support::write_text(end, "");  // opens it, which is enough
  REQUIRE(eventually([&] { return !support::alive(pid); }));
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  is_gone(host, run);
}

TEST_CASE("F15: a process that lingers at its exit is waited for and not called a leak") {
  is_waited_for<support::HeldAtExit>(GENERATE(from_range(containments())));
}

TEST_CASE("F15: a process that is frozen for a while is waited for and not called a leak") {
  is_waited_for<support::Frozen>(GENERATE(from_range(containments())));
}
