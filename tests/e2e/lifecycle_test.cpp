#include <algorithm>
#include <signal.h>
#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

TEST_CASE("S01: create, start, list, stop and remove leave what they should and nothing else") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  CHECK(host.state("fw") == "stopped");
  CHECK(host.left().size() == 1);  // the daemon

  host.start("fw");
  const Json listed = host.ok({"list"}).at("vms");
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].at("name") == "fw");
  CHECK(listed[0].at("state") == "running");
  CHECK(host.left().size() == 3);  // and the agent, and QEMU
  const std::string run = host.run_of("fw");
  CHECK(host.members(run).size() == 1);
  REQUIRE(host.console_says("fw", "READY"));

  const Json report = host.ok({"stop", "fw"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(host.members(run).empty());
  CHECK(host.left().size() == 1);
  CHECK(host.sockets_and_folders().empty());
  CHECK(host.state("fw") == "stopped");
  CHECK(host.info("fw").at("last_stop") == report);

  host.ok({"remove", "fw"});
  CHECK(host.ok({"list"}).at("vms").empty());
  CHECK(fs::is_empty(host.home() / "vms"));
}

TEST_CASE("S01: a VM starts again after a stop and its console log goes on") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  host.ok({"stop", "fw"});
  host.start("fw");
  CHECK(eventually([&] { return support::occurrences(host.console("fw"), "READY") == 2; }));
}

TEST_CASE("S02: a start of a running VM is busy and leaves it alone") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto pid = host.leader("fw");
  const Json error = host.failing(1, {"start", "fw"});
  CHECK(error.at("code") == "busy");
  CHECK(contains(error.at("message"), "'fw'"));
  CHECK(contains(error.at("message"), "running"));
  CHECK(host.leader("fw") == pid);
  CHECK(support::alive(pid));
  CHECK(support::occurrences(host.console("fw"), "BOOT") == 1);
}

TEST_CASE("S03: an image that is missing is named and a later start works") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  spec["boot"]["firmware"] = "later.bin";
  host.create(spec);
  const Json error = host.failing(3, {"start", "fw"});
  CHECK(contains(error.dump(), "later.bin"));
  CHECK(contains(error.dump(), "/boot/firmware"));
  CHECK(host.state("fw") == "failed");
  CHECK(host.left().size() == 1);
  CHECK(host.sockets_and_folders().empty());

  fs::copy_file(guest_file("firmware-obey.bin"), host.folder() / "later.bin");
  host.start("fw");
  CHECK(host.console_says("fw", "READY"));
}

TEST_CASE("S03: an argument that QEMU refuses comes with QEMU's own words") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  spec["options"]["extra_args"] = {"-device", "no-such-device"};
  host.create(spec);
  const Json error = host.failing(3, {"start", "fw"});
  CHECK(contains(error.at("message"), "no-such-device"));
  CHECK(host.state("fw") == "failed");
  CHECK(host.left().size() == 1);
  CHECK(host.sockets_and_folders().empty());
}

TEST_CASE("S03: a hypervisor that is absent is named and a later start works") {
  const HostUnderTest host;
  const fs::path binary = host.folder() / "my-qemu";
  Json spec = host.firmware("fw");
  spec["options"]["binary"] = binary.string();
  host.create(spec);
  const Json error = host.failing(3, {"start", "fw"});
  CHECK(contains(error.dump(), "my-qemu"));
  CHECK(contains(error.dump(), "/options/binary"));
  CHECK(host.state("fw") == "failed");
  CHECK(host.left().size() == 1);

  fs::create_symlink("/usr/bin/qemu-system-x86_64", binary);
  host.start("fw");
}

TEST_CASE("S05: a stop of a stopped VM succeeds, says so, and starts nothing") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  CHECK(host.ok({"stop", "fw"}).at("already") == true);
  CHECK(host.ok({"stop", "--force", "fw"}).at("already") == true);
  CHECK(contains(host.bulkhead({"stop", "fw"}).out, "stopped already"));
  CHECK(host.left().size() == 1);
}

TEST_CASE("S08: a start that is late is undone: exit code 4 and nothing is left") {
  const HostUnderTest host;
  host.create(host.process("p", {"say", "ready"}, {{"on_start", "hang"}}));
  const Json error = host.failing(4, {"start", "p", "--timeout", "500ms"});
  CHECK(error.at("code") == "timed_out");
  CHECK(host.state("p") == "failed");
  CHECK(host.left().size() == 1);
  CHECK(host.sockets_and_folders().empty());
}

TEST_CASE("S08: a client that waits no longer leaves with exit code 4 and the stop goes on") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw", "ignore"));
  const auto pid = host.leader("fw");
  const Json error = host.failing(4, {"stop", "fw", "--grace", "1500ms", "--timeout", "200ms"});
  CHECK(error.at("code") == "timed_out");
  CHECK(host.state("fw") == "stopping");
  CHECK(support::alive(pid));
  REQUIRE(host.reaches("fw", "stopped"));
  CHECK(host.info("fw").at("last_stop").at("rung") == "force");
  CHECK_FALSE(support::alive(pid));
}

TEST_CASE("a VM that does not exist is not found and a similar name is offered") {
  const HostUnderTest host;
  host.create(host.firmware("firmware"));
  const Json error = host.failing(1, {"start", "firmwear"});
  CHECK(error.at("code") == "not_found");
  CHECK(contains(error.at("hint"), "'firmware'"));
}

TEST_CASE("D04: a running VM is not removed unless by force, and its images stay") {
  const HostUnderTest host;
  fs::copy_file(guest_file("firmware-obey.bin"), host.folder() / "mine.bin");
  Json spec = host.firmware("fw");
  spec["boot"]["firmware"] = "mine.bin";
  host.run_vm(spec);
  const auto pid = host.leader("fw");
  CHECK(host.failing(1, {"remove", "fw"}).at("code") == "busy");
  CHECK(support::alive(pid));
  host.ok({"remove", "--force", "fw"});
  CHECK_FALSE(support::alive(pid));
  CHECK(host.ok({"list"}).at("vms").empty());
  CHECK(fs::exists(host.folder() / "mine.bin"));
}

TEST_CASE("D04: of two that remove a VM by force at once one does it, and the other is told that there is no such VM") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  REQUIRE(::kill(static_cast<pid_t>(host.agent("fw")), SIGSTOP) == 0);  // both must wait for the end of the stop
  std::vector<std::unique_ptr<Program>> both;
  both.push_back(host.begin({"remove", "--force", "fw", "--json"}));
  REQUIRE(host.reaches("fw", "stopping"));
  both.push_back(host.begin({"remove", "--force", "fw", "--json"}));
  std::vector<Json> told;
  for (const auto& one : both) told.push_back(Json::parse(one->wait().out));
  std::ranges::sort(told, {}, [](const Json& answer) { return answer.contains("error"); });
  CHECK(told[0].value("removed", "") == "fw");
  REQUIRE(told[1].contains("error"));
  CHECK(told[1]["error"].at("code") == "not_found");
  CHECK(host.ok({"list"}).at("vms").empty());
}

TEST_CASE("D01: a disk that a VM uses is refused to a second one, which names the first") {
  const HostUnderTest host;
  support::write_text(host.folder() / "disk.raw", std::string(1 << 20, '\0'));
  for (const char* name : {"one", "two"}) {
    Json spec = host.firmware(name);
    spec["disks"] = {{{"path", "disk.raw"}, {"format", "raw"}}};
    host.create(spec);
  }
  host.start("one");
  const Json error = host.failing(1, {"start", "two"});
  CHECK(error.at("code") == "busy");
  CHECK(contains(error.at("message"), "disk.raw"));
  CHECK(contains(error.at("message"), "'one'"));
  CHECK(host.state("one") == "running");
  host.ok({"stop", "--force", "one"});
  host.start("two");
}

TEST_CASE("the console takes what is typed and ends when the guest powers off") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const Finished console = host.bulkhead({"console", "fw"}, "echo me\np");  // p powers the guest off
  CHECK(console.code == 0);
  CHECK_FALSE(console.late);
  CHECK(contains(console.out, "echo me"));
  CHECK(contains(console.out, "POWEROFF"));
  REQUIRE(host.reaches("fw", "stopped"));
  CHECK(host.info("fw").at("last_stop").at("reason") == "the guest shut down");
}

TEST_CASE("a console that does not exist is refused") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  CHECK(host.bulkhead({"console", "fw"}).code == 1);
}

TEST_CASE("logs show the guest's console, the agent's log and the driver's, and no other file") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  CHECK(contains(host.bulkhead({"logs", "fw"}).out, "READY"));
  CHECK(contains(host.bulkhead({"logs", "fw", "--source", "agent"}).out, "agent of 'fw'"));
  CHECK(host.bulkhead({"logs", "fw", "--source", "qemu"}).code == 0);
  CHECK(host.failing(1, {"logs", "fw", "--source", "nothing"}).at("code") == "not_found");
  CHECK(host.failing(3, {"logs", "fw", "--source", "../../host"}).at("code") == "invalid");
}

TEST_CASE("S09: the JSON output of every command parses, on success and on failure") {
  const HostUnderTest host;
  CHECK(host.ok({"host", "start"}).contains("pid"));
  CHECK(host.ok({"create", host.write_spec(host.firmware("fw")).string()}).at("name") == "fw");
  CHECK(host.ok({"start", "fw"}).at("state") == "running");
  CHECK(host.ok({"list"}).at("vms").is_array());
  CHECK(host.ok({"info", "fw"}).at("run").is_object());
  CHECK(host.ok({"logs", "fw"}).at("text").is_string());
  CHECK(host.ok({"driver", "list"}).at("drivers").size() >= 2);
  CHECK(host.ok({"host", "status"}).at("running") == 1);
  CHECK(host.ok({"stop", "fw"}).at("version") == 1);
  CHECK(host.ok({"remove", "fw"}).at("removed") == "fw");
  for (const Words& words : {Words{"info", "fw"}, {"start", "fw"}, {"stop", "fw"}, {"remove", "fw"}, {"logs", "fw"}}) {
    CHECK(host.failing(1, words).at("code") == "not_found");
  }
  CHECK(host.ok({"host", "stop"}).at("not_stopped") == 0);
}

TEST_CASE(
    "a driver that needs its whole tree contained is refused where only groups are, unless the spec accepts less") {
  const HostUnderTest host(Containment::process_group);
  Json spec = host.process("p", {"daemonise", "say", "ready"});
  spec["driver"] = "org.bulkhead.test.tree";
  host.create(spec);
  const Json error = host.failing(1, {"start", "p"});
  CHECK(error.at("code") == "unsupported");
  CHECK(contains(error.at("message"), "'tree'"));
  CHECK(contains(error.at("message"), "'process-group'"));
  CHECK(contains(error.at("hint"), "best-effort"));
  CHECK(host.state("p") == "stopped");
  CHECK(host.sockets_and_folders().empty());
  const Json doctor = host.ok({"doctor"});
  CHECK(doctor.at("host").at("containment").at("mechanism") == "process-group");

  spec["name"] = "accepted";
  spec["containment"] = "best-effort";
  host.run_vm(spec);
  const std::string run = host.run_of("accepted");
  const Json info = host.info("accepted");
  CHECK(contains(info.at("warnings").dump(), "contained more weakly"));
  const Json report = host.ok({"stop", "--force", "accepted"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("containment") == "process-group");
  CHECK(host.members(run).empty());
}

TEST_CASE(
    "a driver that needs its whole tree contained runs without a warning where there is a cgroup or a pid namespace") {
  const HostUnderTest host;
  host.ok({"host", "start"});
  if (host.mechanism() == "process-group") SKIP_BECAUSE("this user has neither here");
  Json spec = host.process("p", {"daemonise", "say", "ready"});
  spec["driver"] = "org.bulkhead.test.tree";
  host.run_vm(spec);
  const Json info = host.info("p");
  CHECK(info.at("warnings").empty());
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
}

TEST_CASE("a daemon that is asked for a containment that cannot be had does not start, and says why") {
  if (::geteuid() != 0) SKIP_BECAUSE("needs root, to become a user to whom no cgroup is delegated");
  const HostUnderTest host;
  const support::TempDir own;
  REQUIRE(::chown(own.path().c_str(), 65534, 65534) == 0);
  const auto as_nobody = [&](const Words& words) {
    support::Command command = host.command("/usr/bin/setpriv", {"--reuid=65534", "--regid=65534", "--clear-groups"});
    command.env["BULKHEAD_HOME"] = (own / "home").string();
    command.arguments.insert(command.arguments.end(), words.begin(), words.end());
    return support::run(std::move(command));
  };
  const std::string daemon = program_path("bulkheadd");
  if (as_nobody({"/usr/bin/test", "-x", daemon}).code != 0) SKIP_BECAUSE("another user may not run " << daemon);
  const Finished finished = as_nobody({daemon, "--log-to-stderr", "--containment", "cgroup"});
  CHECK(finished.code == 1);
  CHECK(contains(finished.err, "contain by cgroup: "));
  CHECK(contains(finished.err, "Permission denied"));
}
