#include "stop/ladder.hpp"

#include "support/catch.hpp"

using namespace std::chrono_literals;
using bulkhead::Clock;
using bulkhead::stop::Ladder;
using bulkhead::stop::Outcome;
using bulkhead::stop::Plan;
using bulkhead::stop::Rung;
using bulkhead::stop::Saw;

namespace {

const Clock::time_point t0{};
const Plan whole{.ask = 30s, .force = 5s, .kill = 7s, .prove = 10s, .clean = 15s};

Rung rung_of(const Ladder& ladder) {
  REQUIRE(ladder.step().has_value());
  return ladder.step()->rung;
}

}  // namespace

TEST_CASE("a guest that obeys is proved gone and cleaned up, without force") {
  Ladder ladder(whole, t0);
  CHECK(rung_of(ladder) == Rung::ask);
  CHECK(ladder.step()->until == t0 + 30s);
  ladder.saw(Saw::done, "the guest shut down", t0 + 2s);
  CHECK(rung_of(ladder) == Rung::prove);
  CHECK(ladder.step()->until == t0 + 12s);
  ladder.saw(Saw::done, "", t0 + 3s);
  CHECK(rung_of(ladder) == Rung::clean);
  ladder.saw(Saw::done, "", t0 + 4s);
  CHECK_FALSE(ladder.step().has_value());
  CHECK(ladder.outcome() == Outcome::stopped);
  CHECK(ladder.rung() == Rung::ask);
  CHECK(ladder.story().size() == 3);
}

TEST_CASE("a guest that ignores the request is forced when its grace is over, with the force's own deadline") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::expired, "", t0 + 30s);
  CHECK(rung_of(ladder) == Rung::force);
  CHECK(ladder.step()->until == t0 + 35s);
}

TEST_CASE("a guest that cannot be asked is forced at once") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::refused, "QMP is silent", t0 + 1s);
  CHECK(rung_of(ladder) == Rung::force);
}

TEST_CASE("a forced stop begins with force and never asks") {
  Plan plan = whole;
  plan.ask.reset();
  Ladder ladder(plan, t0);
  CHECK(rung_of(ladder) == Rung::force);
  ladder.saw(Saw::done, "", t0 + 1s);
  ladder.saw(Saw::done, "", t0 + 1s);
  ladder.saw(Saw::done, "", t0 + 1s);
  for (const auto& climbed : ladder.story()) CHECK(climbed.rung != Rung::ask);
  CHECK(ladder.rung() == Rung::force);
}

TEST_CASE("force overtakes a request that is under way") {
  Ladder ladder(whole, t0);
  ladder.force(t0 + 4s);
  CHECK(rung_of(ladder) == Rung::force);
  CHECK(ladder.step()->until == t0 + 9s);
  CHECK(ladder.story().back().rung == Rung::ask);
}

TEST_CASE("a second force changes nothing") {
  Ladder ladder(whole, t0);
  ladder.force(t0 + 1s);
  const auto until = ladder.step()->until;
  ladder.force(t0 + 2s);
  CHECK(rung_of(ladder) == Rung::force);
  CHECK(ladder.step()->until == until);
}

TEST_CASE("a force that fails or is late is followed by kill") {
  for (const Saw saw : {Saw::refused, Saw::expired}) {
    Ladder ladder(whole, t0);
    ladder.force(t0);
    ladder.saw(saw, "", t0 + 5s);
    CHECK(rung_of(ladder) == Rung::kill);
    CHECK(ladder.step()->until == t0 + 12s);
  }
}

TEST_CASE("what a rung says is not believed: a failed proof climbs on") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::done, "the guest shut down", t0 + 1s);
  ladder.saw(Saw::refused, "a helper is alive", t0 + 11s);
  CHECK(rung_of(ladder) == Rung::force);
  ladder.saw(Saw::done, "", t0 + 12s);
  CHECK(rung_of(ladder) == Rung::prove);
  ladder.saw(Saw::refused, "a helper is alive", t0 + 22s);
  CHECK(rung_of(ladder) == Rung::kill);
  ladder.saw(Saw::done, "", t0 + 23s);
  CHECK(rung_of(ladder) == Rung::prove);
  ladder.saw(Saw::done, "", t0 + 24s);
  CHECK(rung_of(ladder) == Rung::clean);
}

TEST_CASE("what is left is waited for in full only when nothing stronger can follow") {
  Plan plan = whole;
  plan.linger = 2s;
  Ladder ladder(plan, t0);
  ladder.saw(Saw::done, "", t0);
  CHECK(ladder.step()->until == t0 + 2s);  // force follows
  ladder.saw(Saw::refused, "", t0 + 2s);
  ladder.saw(Saw::done, "", t0 + 3s);
  CHECK(rung_of(ladder) == Rung::prove);
  CHECK(ladder.step()->until == t0 + 5s);  // kill follows
  ladder.saw(Saw::refused, "", t0 + 5s);
  ladder.saw(Saw::done, "", t0 + 6s);
  CHECK(rung_of(ladder) == Rung::prove);
  CHECK(ladder.step()->until == t0 + 16s);  // nothing does
}

TEST_CASE("a guest that survives every rung is stuck, and nothing is cleaned") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::expired, "", t0 + 30s);
  ladder.saw(Saw::expired, "", t0 + 35s);
  ladder.saw(Saw::expired, "", t0 + 42s);
  CHECK(rung_of(ladder) == Rung::prove);
  ladder.saw(Saw::expired, "", t0 + 52s);
  CHECK_FALSE(ladder.step().has_value());
  CHECK(ladder.outcome() == Outcome::stuck);
  for (const auto& climbed : ladder.story()) CHECK(climbed.rung != Rung::clean);
}

TEST_CASE("with a dead agent only kill is left") {
  Ladder ladder(Plan{.kill = 7s, .prove = 10s, .clean = 15s}, t0);
  CHECK(rung_of(ladder) == Rung::kill);
}

TEST_CASE("an agent that dies while the guest is asked leaves kill") {
  Ladder ladder(whole, t0);
  ladder.agent_died(t0 + 3s);
  CHECK(rung_of(ladder) == Rung::kill);
}

TEST_CASE("an agent that dies during the proof or the cleaning does not restart the climb") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::done, "", t0 + 1s);
  ladder.agent_died(t0 + 2s);
  CHECK(rung_of(ladder) == Rung::prove);
  ladder.saw(Saw::done, "", t0 + 3s);
  ladder.agent_died(t0 + 4s);
  CHECK(rung_of(ladder) == Rung::clean);
}

TEST_CASE("with nothing that could be climbed the truth is still told") {
  Ladder ladder(Plan{.prove = 10s, .clean = 15s}, t0);
  CHECK(rung_of(ladder) == Rung::prove);
  ladder.saw(Saw::refused, "alive", t0 + 10s);
  CHECK_FALSE(ladder.step().has_value());
  CHECK(ladder.outcome() == Outcome::stuck);
}

TEST_CASE("whatever is answered, the ladder ends within nine rungs and never cleans before a proof") {
  for (unsigned answers = 0; answers < 512; ++answers) {
    Ladder ladder(whole, t0);
    auto now = t0;
    bool proved = false;
    unsigned climbed = 0;
    while (ladder.step()) {
      REQUIRE(climbed < 9);
      const Saw saw = ((answers >> climbed) & 1U) != 0 ? Saw::done : Saw::refused;
      if (ladder.step()->rung == Rung::clean) REQUIRE(proved);
      proved = ladder.step()->rung == Rung::prove && saw == Saw::done;
      now += 1s;
      ladder.saw(saw, "", now);
      ++climbed;
    }
    CHECK((ladder.outcome() == Outcome::stopped) == (ladder.story().back().rung == Rung::clean));
  }
}

TEST_CASE("the story gives each rung's begin and end in order") {
  Ladder ladder(whole, t0);
  ladder.saw(Saw::expired, "a", t0 + 30s);
  ladder.saw(Saw::done, "b", t0 + 31s);
  ladder.saw(Saw::done, "c", t0 + 32s);
  ladder.saw(Saw::done, "d", t0 + 33s);
  const auto& story = ladder.story();
  REQUIRE(story.size() == 4);
  for (std::size_t i = 1; i < story.size(); ++i) CHECK(story[i].began == story[i - 1].ended);
  CHECK(story[0].detail == "a");
  CHECK(story[3].rung == Rung::clean);
}
