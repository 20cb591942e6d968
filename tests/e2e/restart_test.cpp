#include <fstream>

#include "e2e/api_client.hpp"
#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

namespace {

Json with_policy(Json spec, const std::string& policy, int limit = 5) {
  spec["restart"] = {{"policy", policy}, {"delay", "100ms"}, {"max_delay", "400ms"}, {"limit", limit}};
  return spec;
}

Json process(const std::string& name) { return HostUnderTest::process(name, {"say", "ready"}); }

// Another run of it than `run` has come to run.
bool runs_again(const HostUnderTest& host, const std::string& name, const std::string& run) {
  return eventually([&] {
    const Json vm = host.info(name);
    return vm.at("state") == "running" && vm.at("run").at("id") != run;
  });
}

// As after a crash of the machine: nothing of it lives, and its ledger still says that it runs.
void crash(const HostUnderTest& host, const std::string& name) {
  const std::int64_t pids[] = {host.daemon(), host.agent(name), host.leader(name)};
  for (const std::int64_t pid : pids) {
    if (support::alive(pid)) ::kill(static_cast<pid_t>(pid), SIGKILL);
  }
  for (const std::int64_t pid : pids) REQUIRE(eventually([&] { return !support::alive(pid); }));
}

void as_of_another_boot(const HostUnderTest& host, const std::string& name) {
  const auto file = host.vm_directory(name) / "desired.json";
  Json desired = Json::parse(support::read_text(file));
  desired["autostarted_boot"] = "00000000-0000-0000-0000-000000000000";
  std::ofstream(file) << desired.dump();
}

bool gave_up(const HostUnderTest& host, const std::string& name) {
  return eventually([&] { return host.info(name).at("restarts").at("gave_up") == true; });
}

}  // namespace

TEST_CASE("S10: a VM that fails is started again, the restarts are counted, and after the limit it gives up") {
  const HostUnderTest host;
  host.run_vm(with_policy(process("p"), "on-failure", 2));
  for (int restart = 1; restart <= 2; ++restart) {
    const std::string run = host.run_of("p");
    kill_hard(host.leader("p"));
    REQUIRE(runs_again(host, "p", run));
    CHECK(host.info("p").at("restarts").at("count") == restart);
  }
  kill_hard(host.leader("p"));
  REQUIRE(gave_up(host, "p"));
  const Json vm = host.info("p");
  CHECK(vm.at("state") == "failed");
  CHECK(contains(vm.at("why"), "killed by signal 9"));
  CHECK(contains(vm.at("why"), "gave up after 2 restarts"));
  CHECK(vm.at("desired") == "stopped");
  // A client may begin anew.
  host.start("p");
  CHECK(host.info("p").at("restarts").at("count") == 0);
}

TEST_CASE("S10: a VM that cannot be started again is tried with growing delays, and the reason is shown") {
  const HostUnderTest host;
  const auto image = host.folder() / "firmware.bin";
  std::filesystem::copy_file(guest_file("firmware-obey.bin"), image);
  Json spec = HostUnderTest::firmware("fw");
  spec["boot"]["firmware"] = image.string();
  host.run_vm(with_policy(spec, "on-failure", 3));
  std::filesystem::remove(image);
  kill_hard(host.leader("fw"));
  REQUIRE(gave_up(host, "fw"));
  const Json vm = host.info("fw");
  CHECK(vm.at("restarts").at("count") == 3);
  CHECK_THAT(vm.at("why").get<std::string>(), Catch::Contains("gave up") && Catch::Contains(image.string()));
  std::vector<std::int64_t> delays;
  const std::string events = support::read_text(host.home() / "events.jsonl");
  std::istringstream lines(events);
  for (std::string line; std::getline(lines, line);) {
    const Json event = Json::parse(line);
    if (event.at("kind") == "vm.restart" && event.at("detail").contains("in_ms")) {
      delays.push_back(event.at("detail").at("in_ms"));
    }
  }
  CHECK(delays == std::vector<std::int64_t>{100, 200, 400});
}

TEST_CASE("S10: a stop that was asked for does not restart, whatever the policy") {
  const HostUnderTest host;
  host.run_vm(with_policy(process("p"), "always"));
  const std::string run = host.run_of("p");
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  const Json vm = host.info("p");
  CHECK(vm.at("state") == "stopped");
  CHECK(vm.at("desired") == "stopped");
  CHECK_FALSE(vm.at("restarts").contains("next_at"));
}

TEST_CASE("S10: a guest that shuts down by itself is started again under always, and not under on-failure") {
  const HostUnderTest host;
  for (const char* policy : {"always", "on-failure"}) {
    host.create(with_policy(HostUnderTest::firmware(policy), policy));
    host.start(policy);
    REQUIRE(host.console_says(policy, "READY"));
  }
  const std::string always = host.run_of("always");
  for (const char* name : {"always", "on-failure"}) {
    host.bulkhead({"console", name}, "p");
  }
  CHECK(runs_again(host, "always", always));
  REQUIRE(host.reaches("on-failure", "stopped"));
  CHECK(host.info("on-failure").at("desired") == "stopped");
}

TEST_CASE("S10: a stop while a restart is due takes it back") {
  const HostUnderTest host;
  Json spec = with_policy(process("p"), "on-failure");
  spec["restart"]["delay"] = "1h";
  host.run_vm(spec);
  kill_hard(host.leader("p"));
  REQUIRE(eventually([&] { return host.info("p").at("restarts").contains("next_at"); }));
  CHECK(host.state("p") == "failed");
  CHECK(host.ok({"stop", "p"}).at("outcome") == "stopped");
  const Json vm = host.info("p");
  CHECK(vm.at("state") == "stopped");
  CHECK_FALSE(vm.at("restarts").contains("next_at"));
  CHECK(vm.at("desired") == "stopped");
}

TEST_CASE("S10: a restart that was due when the daemon was killed is made by the next one") {
  const HostUnderTest host;
  Json spec = with_policy(process("p"), "on-failure");
  spec["restart"]["delay"] = "2s";
  spec["restart"]["max_delay"] = "2s";
  host.run_vm(spec);
  const std::string run = host.run_of("p");
  kill_hard(host.leader("p"));
  REQUIRE(eventually([&] { return host.info("p").at("restarts").contains("next_at"); }));
  kill_hard(host.daemon());
  host.ok({"host", "start"});
  CHECK(runs_again(host, "p", run));
}

TEST_CASE("S10: a VM that died while there was no daemon is swept and started again by the next one") {
  const HostUnderTest host;
  host.run_vm(with_policy(process("p"), "on-failure"));
  host.run_vm(process("never"));
  const std::string run = host.run_of("p");
  const std::int64_t leaders[] = {host.leader("p"), host.leader("never")};
  kill_hard(host.daemon());
  for (const std::int64_t pid : leaders) kill_hard(pid);
  host.ok({"host", "start"});
  CHECK(runs_again(host, "p", run));
  CHECK(host.reaches("never", "stopped"));
  CHECK(host.info("never").at("desired") == "stopped");
}

TEST_CASE(
    "a VM with autostart is started with the daemon, once per boot, and again when the daemon was stopped under it") {
  const HostUnderTest host;
  Json spec = process("p");
  spec["autostart"] = true;
  host.create(spec);
  CHECK(host.state("p") == "stopped");  // it is created, and its daemon began before
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  REQUIRE(host.reaches("p", "running"));
  const std::string run = host.run_of("p");
  // The daemon is stopped, and its VMs with it; that was nobody's word against the VM.
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  REQUIRE(runs_again(host, "p", run));
  // A user's word is.
  host.ok({"stop", "--force", "p"});
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(host.info("p").at("desired") == "stopped");
  CHECK(host.state("p") == "stopped");
}

TEST_CASE("a VM without autostart or policy stays stopped after the host was stopped") {
  const HostUnderTest host;
  host.run_vm(process("p"));
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(host.state("p") == "stopped");
  CHECK(host.info("p").at("desired") == "stopped");
}

TEST_CASE("S10: a restart does not overtake a disk that another VM has taken meanwhile, and counts as failed") {
  const HostUnderTest host;
  const auto disk = host.folder() / "disk.raw";
  std::ofstream(disk) << std::string(4096, '\0');
  Json first = HostUnderTest::firmware("first");
  first["disks"] = Json::array({{{"path", disk.string()}}});
  Json second = first;
  second["name"] = "second";
  first = with_policy(first, "on-failure", 1);
  first["restart"]["delay"] = "2s";
  first["restart"]["max_delay"] = "2s";
  host.run_vm(first);
  host.create(second);
  kill_hard(host.leader("first"));
  REQUIRE(eventually([&] { return host.info("first").at("restarts").contains("next_at"); }));
  host.start("second");
  REQUIRE(gave_up(host, "first"));
  CHECK(contains(host.info("first").at("why"), "in use by 'second'"));
  CHECK(host.state("second") == "running");
}

TEST_CASE("a VM with autostart that ran when its machine crashed is started with the next boot") {
  const HostUnderTest host;
  Json spec = process("p");
  spec["autostart"] = true;
  host.run_vm(spec);
  const std::string run = host.run_of("p");
  crash(host, "p");
  as_of_another_boot(host, "p");
  host.ok({"host", "start"});
  CHECK(runs_again(host, "p", run));
}

TEST_CASE("a VM with autostart that a user has stopped before any autostart stays stopped in this boot") {
  const HostUnderTest host;
  Json spec = process("p");
  spec["autostart"] = true;
  host.run_vm(spec);
  host.ok({"stop", "--force", "p"});
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(host.info("p").at("desired") == "stopped");
  CHECK(host.state("p") == "stopped");
}

TEST_CASE("S10: a restart that was due is counted once, however many daemons wait for it") {
  const HostUnderTest host;
  Json spec = with_policy(process("p"), "on-failure", 1);
  spec["restart"]["delay"] = "2s";
  host.run_vm(spec);
  const std::string run = host.run_of("p");
  kill_hard(host.leader("p"));
  REQUIRE(eventually([&] { return host.info("p").at("restarts").contains("next_at"); }));
  for (int daemons = 0; daemons < 2; ++daemons) {
    kill_hard(host.daemon());
    host.ok({"host", "start"});
    CHECK(host.info("p").at("restarts").at("count") == 1);
  }
  CHECK(runs_again(host, "p", run));
}

TEST_CASE("S10: what an earlier run left is cleaned, and its restart counted once") {
  const HostUnderTest host;
  Json spec = with_policy(process("p"), "on-failure", 1);
  host.run_vm(spec);
  const std::string run = host.run_of("p");
  crash(host, "p");
  host.ok({"host", "start"});
  CHECK(runs_again(host, "p", run));
  CHECK(host.info("p").at("restarts").at("count") == 1);
}

TEST_CASE("S10: a spec without a policy takes back a restart that is due") {
  const HostUnderTest host;
  Json spec = with_policy(process("p"), "on-failure");
  spec["restart"]["delay"] = "1h";
  host.run_vm(spec);
  kill_hard(host.leader("p"));
  REQUIRE(eventually([&] { return host.info("p").at("restarts").contains("next_at"); }));
  const ApiClient api(host);
  const Json body{{"spec", process("p")}, {"folder", "/"}};
  const Json vm = api.expect(200, {.method = "PUT", .path = "/v1/vms/p", .body = body});
  CHECK_FALSE(vm.at("restarts").contains("next_at"));
  CHECK(vm.at("desired") == "stopped");
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(host.state("p") == "stopped");
}

TEST_CASE("a restart that the end of the host overtakes leaves the VM wanted running") {
  const HostUnderTest host;
  Json spec = with_policy(HostUnderTest::firmware("fw", "ignore"), "always");
  spec["stop"]["grace_period"] = "2s";
  host.run_vm(spec);
  const std::string run = host.run_of("fw");
  {
    const ApiClient api(host);
    api.expect(202, {.method = "POST", .path = "/v1/vms/fw/restart"});
    REQUIRE(host.reaches("fw", "stopping"));
  }
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(runs_again(host, "fw", run));
}
