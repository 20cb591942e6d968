#include <fstream>
#include <sstream>

#include "e2e/ledger_line.hpp"
#include "e2e/neighbour.hpp"
#include "support/mounts.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;
using support::Mounts;

namespace {

constexpr std::size_t page = 4096;

// A host whose home has a file system of its own, which can be made full or read-only.
class SmallHome {
 public:
  SmallHome() {
    fs::create_directory(host_.home());
    Mounts::small(host_.home(), 256 * page);
    left_.folder = host_.folder();
    left_.mount = host_.home();
  }
  const HostUnderTest& host() const { return host_; }

  // Nothing more goes onto the disk but that many pages.
  void fill_but(std::size_t pages) const {
    free();
    std::ofstream file(filler(), std::ios::binary);
    const std::string block(page, '*');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())) && file.flush()) continue;
    file.close();
    fs::resize_file(filler(), fs::file_size(filler()) / page * page - pages * page);
  }
  // And the ledger ends with its page: its next record finds no place.
  void fill(const std::string& vm) const {
    const fs::path ledger = host_.vm_directory(vm) / "ledger.jsonl";
    Json padding{{"type", "padding"}, {"padding", ""}};
    const std::size_t size = fs::file_size(ledger) + ledger_line(padding.dump()).size();
    padding["padding"] = std::string(page - size % page, '*');
    std::ofstream(ledger, std::ios::binary | std::ios::app) << ledger_line(padding.dump());
    REQUIRE(fs::file_size(ledger) % page == 0);
    fill_but(0);
  }
  void free() const { fs::remove(filler()); }
  void make_read_only() const { Mounts::read_only(host_.home()); }
  void make_writable() const { Mounts::unmount(host_.home()); }

 private:
  fs::path filler() const { return host_.home() / "filler"; }
  struct Left {
    fs::path folder;
    fs::path mount;
    ~Left() {
      if (mount.empty()) return;
      Mounts::unmount(mount);
      fs::remove_all(folder);
    }
  };
  Left left_;  // the host ends before its home goes
  HostUnderTest host_;
};

// Every file is whole, old or new.
void nothing_is_torn(const HostUnderTest& host, const std::string& vm) {
  for (const auto& entry : fs::directory_iterator(host.vm_directory(vm))) {
    INFO(entry.path());
    const std::string text = support::read_text(entry.path());
    CHECK(entry.path().extension() != ".new");
    if (entry.path().extension() == ".json") CHECK_FALSE(Json::parse(text, nullptr, false).is_discarded());
    if (entry.path().extension() != ".jsonl") continue;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) CHECK(ledger_line(line.substr(9)) == line + "\n");
    CHECK(text.ends_with('\n'));
  }
}

// The forced stop of a VM whose end cannot be written down: it is dead, and is not forgotten.
void is_proved_but_kept(const HostUnderTest& host, const std::string& vm, const std::string& why) {
  const std::string run = host.run_of(vm);
  const auto pid = host.leader(vm);
  const std::string ledger = support::read_text(host.vm_directory(vm) / "ledger.jsonl");
  const Finished finished = host.bulkhead({"stop", "--force", vm, "--json"});
  INFO(finished.out << finished.err);
  const Json report = Json::parse(finished.out);
  CHECK(report.at("outcome") == "stopped");
  CHECK(rung(report, "prove").at("outcome") == "done");
  CHECK(contains(rung(report, "clean").at("detail"), "ledger.jsonl"));
  CHECK(contains(rung(report, "clean").at("detail"), why));
  CHECK_FALSE(support::alive(pid));
  CHECK(host.members(run) == std::vector<support::Seen>{});
  const Json info = host.info(vm);
  CHECK(info.at("state") == "stuck");
  CHECK(contains(info.at("why"), why));
  CHECK(host.failing(1, {"start", vm}).at("code") == "busy");
  const std::string now = support::read_text(host.vm_directory(vm) / "ledger.jsonl");
  CHECK(now.starts_with(ledger));
  CHECK_FALSE(contains(now, R"("type":"end")"));
  nothing_is_torn(host, vm);
}

void works_again(const HostUnderTest& host, const std::string& vm) {
  CHECK(host.ok({"stop", "--force", vm}).at("outcome") == "stopped");
  CHECK(host.state(vm) == "stopped");
  nothing_is_torn(host, vm);
  host.start(vm);
  CHECK(host.ok({"stop", "--force", vm}).at("outcome") == "stopped");
}

}  // namespace

TEST_CASE("C08: a full disk harms no VM, one can be stopped by force, and with space again all goes on") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  home.fill("fw");
  CHECK(host.state("fw") == "running");
  is_proved_but_kept(host, "fw", "No space left on device");
  neighbour.noticed_nothing();
  home.free();
  works_again(host, "fw");
  neighbour.noticed_nothing();
}

TEST_CASE("C08: a daemon that starts on a full disk adopts its VMs and can stop them") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  home.fill("fw");
  kill_hard(host.daemon());
  CHECK(host.state("fw") == "running");
  CHECK(host.leader("fw") == pid);
  CHECK(host.agent("fw") == agent);
  neighbour.noticed_no_crash();
  is_proved_but_kept(host, "fw", "No space left on device");
  kill_hard(host.daemon());
  REQUIRE(host.reaches("fw", "stuck"));
  neighbour.noticed_no_crash();
  home.free();
  works_again(host, "fw");
  neighbour.noticed_no_crash();
}

TEST_CASE("C08: with the agent dead too, a VM on a full disk can be stopped by force") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  host.run_vm(host.process("p", {"deaf", "daemonise", "say", "ready"}));
  home.fill("p");
  kill_hard(host.agent("p"));
  CHECK(host.members(host.run_of("p")).size() == 2);
  is_proved_but_kept(host, "p", "No space left on device");
  home.free();
  works_again(host, "p");
}

TEST_CASE("C08: a VM that ends by itself on a full disk is swept, and with space again all goes on") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  host.run_vm(host.process("p", {"daemonise", "say", "ready"}));
  const std::string run = host.run_of("p");
  home.fill("p");
  kill_hard(host.leader("p"));
  REQUIRE(host.reaches("p", "stuck"));
  CHECK(host.members(run) == std::vector<support::Seen>{});
  CHECK(contains(host.info("p").at("why"), "No space left on device"));
  home.free();
  works_again(host, "p");
}

TEST_CASE("C08: a start for which the disk has not enough space fails with the file's name and leaves nothing") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  std::size_t failed = 0;
  std::size_t started = 0;
  // The longer the VM's arguments, the earlier is the record of its ledger for which there is no page. What is wanted
  // of the VM and what happened to it take pages too.
  for (std::size_t length = 0; length < page; length += 128) {
    const std::size_t room = 1 + (length / 128) % 4;
    CAPTURE(length, room);
    host.create(host.process("p", {"say", "ready", "name", std::string(length, 'n')}));
    home.fill_but(room);
    const Finished finished = host.bulkhead({"start", "p", "--json"});
    INFO(finished.out << finished.err);
    if (finished.code == 0) {
      ++started;
    } else {
      ++failed;
      const std::string message = Json::parse(finished.out).at("error").at("message");
      CHECK(contains(message, "No space left on device"));
      CHECK(contains(message, host.home().string()));
      CHECK(host.left().size() == 1);  // the daemon
      CHECK(host.sockets_and_folders() == std::vector<std::string>{});
    }
    nothing_is_torn(host, "p");
    home.free();
    CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
    CHECK(host.state("p") == "stopped");
    CHECK(host.left().size() == 1);
    CHECK(host.sockets_and_folders() == std::vector<std::string>{});
    host.ok({"remove", "p"});
  }
  CHECK(started > 0);
  CHECK(failed > 0);
}

TEST_CASE("C08: a home that became read-only harms no VM, one can be stopped by force, and later all goes on") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  const Neighbour neighbour(host);
  host.run_vm(host.firmware("fw"));
  home.make_read_only();
  is_proved_but_kept(host, "fw", "Read-only file system");
  neighbour.noticed_nothing();
  home.make_writable();
  works_again(host, "fw");
  neighbour.noticed_nothing();
}

TEST_CASE("C08: a daemon does not start on a read-only home, says which file, and the VMs are adopted later") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const SmallHome home;
  const HostUnderTest& host = home.host();
  const Neighbour neighbour(host);
  kill_hard(host.daemon());
  home.make_read_only();
  for (const Words& words : {Words{"list"}, {"stop", "--force", "neighbour"}}) {
    const Finished refused = host.bulkhead(words);
    INFO(refused.out << refused.err);
    CHECK(refused.code == 1);
    CHECK(contains(refused.err, "Read-only file system"));
    CHECK(contains(refused.err, host.home().string()));
  }
  CHECK(host.left().size() == 2);  // the VM's agent and QEMU
  home.make_writable();
  neighbour.noticed_no_crash();
}

TEST_CASE("C08: a VM's directory that cannot be written to: no start, a stop is proved, and later all goes on") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  Mounts::read_only(host.vm_directory("p"));
  is_proved_but_kept(host, "p", "Read-only file system");
  Mounts::unmount(host.vm_directory("p"));
  works_again(host, "p");
  Mounts::read_only(host.vm_directory("p"));
  const std::string message = host.failing(1, {"start", "p"}).at("message");
  CHECK(contains(message, "Read-only file system"));
  CHECK(contains(message, host.vm_directory("p").string()));
  CHECK(host.left().size() == 1);  // the daemon
  CHECK(host.sockets_and_folders() == std::vector<std::string>{});
  Mounts::unmount(host.vm_directory("p"));
  works_again(host, "p");
}

TEST_CASE("a VM whose folder cannot be removed whole is removed all the same, and its name is free") {
  if (const std::string why = Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const HostUnderTest host;
  host.create(HostUnderTest::firmware("fw"));
  const fs::path held = host.vm_directory("fw") / "held";
  fs::create_directory(held);
  Mounts::small(held, 4 * page);
  host.ok({"remove", "fw"});
  CHECK(host.ok({"list"}).at("vms").empty());
  for (int again = 0; again < 2; ++again) {
    host.run_vm(HostUnderTest::firmware("fw"));
    host.ok({"stop", "--force", "fw"});
    host.ok({"remove", "fw"});
  }
  // What could not be removed is by the next daemon.
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(host.home() / "vms")) left.push_back(entry.path());
  REQUIRE(left.size() == 1);
  Mounts::unmount(left[0] / "held");
  host.ok({"host", "stop"});
  host.ok({"host", "start"});
  CHECK(fs::is_empty(host.home() / "vms"));
}
