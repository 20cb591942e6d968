#include <chrono>

#include "contain/containment.hpp"
#include "os/born.hpp"
#include "support/canary.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

namespace {

// A process as the host's ledger has it: written down before its first instruction.
os::Identity recorded_and_dead(const Nursery& nursery) {
  os::Identity identity;
  auto process = os::spawn(nursery.child({}), [&](const os::Identity& born) {
    identity = born;
    return Result<void>{};
  });
  REQUIRE(process);
  REQUIRE(process->signal(os::Signal::kill));
  REQUIRE(process->wait(in_good_time()));
  os::reap_exited();
  return identity;
}

enum class Tick { same, another };

// Kills by everything that the host kills by, with what its ledger says of the one that had the pid before.
void attack(const os::Identity& stale, const Canary& canary) {
  REQUIRE(Cage::inside());
  REQUIRE(stale.pid == canary.pid());
  const auto opened = os::Process::open(stale);
  if (opened) CHECK_FALSE(opened->signal(os::Signal::kill));
  CHECK_FALSE(opened);
  CHECK_FALSE(os::Process::holds_pid(stale));
  CHECK(canary.lives());

  contain::Known known{.run = RunId::random(), .recorded = {stale}};
  const auto nobody_is_hit = [&](const char* role) {
    CAPTURE(role);
    const auto members = contain::members(known);
    REQUIRE(members);
    CHECK(members->empty());
    const auto swept = contain::sweep(known, Clock::now() + milliseconds{500});
    CHECK(swept.ended.empty());
    CHECK(swept.survivors.empty());
    CHECK(canary.lives());
  };
  nobody_is_hit("recorded");
  known.leader = stale;
  nobody_is_hit("leader, and the group with its number");
  known.guardian = stale;
  nobody_is_hit("guardian, and what descends from it");
  known.guardian.reset();
  known.init = stale;
  nobody_is_hit("init, and what is in its namespace");
}

void attack_in(Tick tick) {
  const Nursery nursery;
  // On a busy machine or a slow build one clock tick (10 ms) is seldom long enough for a death and a birth.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int tries = 1; std::chrono::steady_clock::now() < patience; ++tries) {
    const os::Identity stale = recorded_and_dead(nursery);
    const Canary canary(stale.pid, TEST_CHILD, nursery.folder() / "canary");
    const bool same = start_time_of(canary.pid()) == stale.start_time;
    if (same != (tick == Tick::same)) continue;
    WARN("pid " << stale.pid << " was used again in " << (same ? "the same" : "another") << " clock tick after "
                << tries << " tries");
    REQUIRE(canary.lives());
    if (same && stale.serial == 0) SKIP_BECAUSE("this kernel does not tell two processes of one tick apart (pidfs)");
    attack(stale, canary);
    return;
  }
  SKIP_BECAUSE("no pid could be used again within one clock tick: the machine is too slow just now");
}

std::string line_with(const std::string& words, const std::string& text) {
  const auto at = text.find(words);
  if (at == std::string::npos) return {};
  const auto from = text.rfind('\n', at) + 1;
  return text.substr(from, text.find('\n', at) - from);
}

void attack_in_cage(Tick tick) {
  if (Cage::inside()) {
    attack_in(tick);
    return;
  }
  if (const std::string why = Cage::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const Finished finished = Cage::run_this_case();
  INFO(finished.out << finished.err);
  if (finished.code == 4) SKIP_BECAUSE(line_with("SKIPPED: ", finished.out));
  CHECK(finished.code == 0);
  WARN(line_with("was used again", finished.out));
}

}  // namespace

TEST_CASE("F12: whoever gets the pid of a recorded process that is dead and reaped is hit by nothing") {
  attack_in_cage(Tick::another);
}

TEST_CASE("F12: whoever gets the pid of a recorded process in the same clock tick is hit by nothing") {
  attack_in_cage(Tick::same);
}

TEST_CASE("I2: what lives in the host's own pid namespace is not of a run, whoever is taken for its init") {
  const Nursery nursery;
  const os::Process one = nursery.start({"say", "ready"});
  const os::Process other = nursery.start({"say", "ready"});
  // Looked at only: were it wrong, a sweep would end this machine.
  const auto members = contain::members({.run = RunId::random(), .init = one.identity()});
  REQUIRE(members);
  CHECK(members->empty());
}
