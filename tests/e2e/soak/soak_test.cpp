#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <utility>

#include "e2e/soak/doing.hpp"
#include "e2e/soak/quiet.hpp"
#include "e2e/soak/script.hpp"
#include "e2e/soak/watch.hpp"

// A host that is given no rest: what a seeded script wants is done to some VMs and to the host itself, and whenever it
// is quiet, what `list` says is compared with what /proc says. BULKHEAD_SOAK_VMS, BULKHEAD_SOAK_SECONDS and
// BULKHEAD_SOAK_SEED choose; `./dev soak` runs it at size.
using namespace bulkhead::e2e;
using namespace bulkhead::e2e::soak;
namespace fs = std::filesystem;
namespace support = bulkhead::support;
using Clock = std::chrono::steady_clock;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

const std::size_t vms = number_from("BULKHEAD_SOAK_VMS", 6);
const std::chrono::seconds duration{number_from("BULKHEAD_SOAK_SECONDS", 20)};
const std::uint64_t seed = number_from("BULKHEAD_SOAK_SEED", std::random_device{}());

bool shares_disk(std::size_t vm) { return vm % 6 < 2; }
bool keeps_running(std::size_t vm) { return vm % 6 == 2; }  // started again whenever it ends by itself

// Guests of all kinds; some share a disk with their neighbour.
Json spec_of(const HostUnderTest& host, std::size_t vm) {
  const std::vector<std::string> kinds{"obey", "obey", "obey", "ignore", "obey", "spin"};
  Json spec = HostUnderTest::firmware(vm_name(vm), kinds[vm % kinds.size()]);
  spec["stop"] = {{"grace_period", "500ms"}};
  if (keeps_running(vm)) {
    spec["restart"] = {{"policy", "always"}, {"delay", "100ms"}, {"max_delay", "500ms"}, {"limit", 0}};
  }
  if (shares_disk(vm)) {
    const fs::path disk = host.folder() / ("disk" + std::to_string(vm / 6) + ".raw");
    if (!fs::exists(disk)) support::write_text(disk, std::string(1 << 16, '\0'));
    spec["disks"] = {{{"path", disk.string()}, {"format", "raw"}}};
  }
  return spec;
}

// What a round did that one VM may have noticed.
struct Done {
  std::vector<Deed> to_it{};
  bool agent_killed = false;
  bool daemon_ended = false;
  bool all_stopped = false;
};

Done done_to(std::size_t vm, const std::vector<Action>& actions) {
  Done done;
  for (const Action& action : actions) {
    done.daemon_ended = done.daemon_ended || ends_the_daemon(action.deed);
    done.all_stopped = done.all_stopped || action.deed == Deed::host_stop;
    if (action.vm != vm) continue;
    if (touches_its_vm(action.deed)) done.to_it.push_back(action.deed);
    done.agent_killed = done.agent_killed || action.deed == Deed::kill_agent;
  }
  return done;
}

// Whatever became of the host and the others.
void was_left_alone(const Quiet::Seen& before, const Quiet::Seen& now) {
  CHECK((before.state == "running") == (now.state == "running"));
  CHECK(before.qemu == now.qemu);
  CHECK(before.qemu_began == now.qemu_began);
  CHECK(before.boot == now.boot);
}

// One thing was done to it, and nothing that could have got in between.
void obeyed(Deed deed, const Quiet::Seen& before, const Quiet::Seen& now, bool told_well, std::size_t vm) {
  const bool ran = before.state == "running";
  const bool runs = now.state == "running";
  switch (deed) {
    case Deed::start:
      CHECK(told_well == (runs && !ran));
      if (ran) was_left_alone(before, now);
      CHECK((runs || shares_disk(vm)));
      break;
    case Deed::stop:
    case Deed::force:
    case Deed::stop_and_force:
      CHECK(told_well);
      CHECK(now.state == "stopped");
      break;
    case Deed::kill_qemu:
    case Deed::kill_agent_and_qemu:
      CHECK(now.state == (!ran || keeps_running(vm) ? before.state : "failed"));
      if (ran) CHECK((!runs || now.boot != before.boot));
      break;
    case Deed::power_off:
      if (before.boot.empty()) was_left_alone(before, now);  // not running, or deaf
      if (!before.boot.empty()) CHECK(now.state == (keeps_running(vm) ? "running" : "stopped"));
      if (!before.boot.empty()) CHECK(now.boot != before.boot);
      break;
    default: break;
  }
}

class Soak {
 public:
  Soak() : watch_(host_.folder()), quiet_(host_), doing_(host_, quiet_, story_) {
    for (std::size_t vm = 0; vm < vms; ++vm) host_.create(spec_of(host_, vm));
  }

  void round(const std::vector<Action>& actions) {
    story_.next_round();
    INFO("BULKHEAD_SOAK_VMS=" << vms << " BULKHEAD_SOAK_SEED=" << seed << ", round " << story_.round()
                              << "; what was done is above");
    for (const Action& action : actions) doing_.perform(action);
    const Doing::Answers answers = doing_.finish();
    const Quiet::Picture before = std::exchange(picture_, quiet_.settled());
    for (std::size_t vm = 0; vm < vms; ++vm) compare(vm, done_to(vm, actions), before, answers);
    CHECK(watch_.take_doubles() == std::vector<std::string>{});
    for (std::size_t vm = 0; vm < vms; ++vm) {
      if (!picture_.contains(vm_name(vm))) host_.create(spec_of(host_, vm));
    }
  }

  void end() {
    story_.tell("host stop, and the end");
    // Otherwise the daemon that tells the rest would start them again.
    for (std::size_t vm = 0; vm < vms; ++vm) {
      if (keeps_running(vm)) host_.ok({"stop", "--force", vm_name(vm)});
    }
    CHECK(host_.ok({"host", "stop"}).at("not_stopped") == 0);
    const Quiet::Picture stopped = quiet_.settled();
    CHECK(stopped.size() == vms);
    for (const auto& [name, seen] : stopped) {
      CHECK(seen.state != "running");
      host_.ok({"remove", name});
    }
    CHECK(fs::is_empty(host_.home() / "vms"));
    CHECK(quiet_.settled().empty());
    CHECK(watch_.take_doubles() == std::vector<std::string>{});
  }

 private:
  void compare(std::size_t vm, const Done& done, const Quiet::Picture& before, const Doing::Answers& answers) const {
    const std::string name = vm_name(vm);
    const auto was = before.find(name);
    const auto is = picture_.find(name);
    if (was == before.end() || is == picture_.end() || done.all_stopped) return;
    INFO("'" << name << "' was " << was->second.state << ", is " << is->second.state);
    if (done.to_it.empty()) was_left_alone(was->second, is->second);
    if (done.to_it.size() != 1 || done.daemon_ended || done.agent_killed) return;
    const auto told = answers.find(name);
    const bool well = told == answers.end() || std::ranges::all_of(told->second, [](bool answer) { return answer; });
    obeyed(done.to_it.front(), was->second, is->second, well, vm);
  }

  HostUnderTest host_;
  Story story_;
  Watch watch_;
  Quiet quiet_;
  Doing doing_;
  Quiet::Picture picture_;
};

}  // namespace

TEST_CASE("whatever is done to the host and its VMs: list tells the truth, no VM runs twice, and nothing is left") {
  std::cout << "SOAK " << vms << " VMs, " << duration.count() << " s: BULKHEAD_SOAK_VMS=" << vms
            << " BULKHEAD_SOAK_SECONDS=" << duration.count() << " BULKHEAD_SOAK_SEED=" << seed << std::endl;
  Soak soak;
  Script script(seed, vms);
  std::vector<Action> all_start;
  for (std::size_t vm = 0; vm < vms; ++vm) all_start.push_back({.deed = Deed::start, .vm = vm});
  soak.round(all_start);
  for (const auto end = Clock::now() + duration; Clock::now() < end;) soak.round(script.next_round());
  soak.end();
}
