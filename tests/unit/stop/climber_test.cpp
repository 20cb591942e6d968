#include "stop/climber.hpp"

#include <boost/asio/io_context.hpp>
#include <map>
#include <stdexcept>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace bulkhead;
using namespace bulkhead::stop;

namespace {

// What the work of a rung does; that of a rung which is not named is done at once. hang: until the test releases it.
enum class Does { end, refuse, hang, fail };

class FakeTarget : public Target {
 public:
  explicit FakeTarget(std::map<Rung, Does> does) : does_(std::move(does)) {}

  Task<Seen> perform(Rung rung, Deadline until) override {
    begun.push_back(rung);
    untils.push_back(until);
    changed.notify();
    const auto it = does_.find(rung);
    const Does does = it == does_.end() ? Does::end : it->second;
    if (does == Does::fail) throw std::runtime_error("a bug in a rung");
    if (does == Does::hang) {
      // Deaf to `until`, as a driver that hangs is.
      while (!released) co_await release.wait(Deadline::max());
    }
    ++ended;
    Seen seen{.saw = does == Does::refuse ? Saw::refused : Saw::done, .detail = "from the target"};
    co_return seen;
  }

  std::vector<Rung> begun;
  std::vector<Deadline> untils;
  int ended = 0;
  bool released = false;
  Event release;
  Event changed;

 private:
  std::map<Rung, Does> does_;
};

const Plan patient{.ask = 1h, .force = 1h, .kill = 1h, .prove = 1h, .clean = 1h};

// One climb in an event loop of its own, and what the test does meanwhile.
struct Climb {
  Climb(const Plan& plan, std::map<Rung, Does> does)
      : target(std::make_shared<FakeTarget>(std::move(does))), climber(plan, target, scope) {}

  static Task<void> climb(Climb& self) {
    co_await self.climber.run();
    self.finished = true;
    self.target->released = true;
    self.target->release.notify();
  }

  // Waits until the rung's work has begun.
  Task<void> begun(Rung rung) {
    const Deadline limit = Clock::now() + 30s;
    while (target->begun.empty() || target->begun.back() != rung) {
      if (Clock::now() > limit) throw std::runtime_error("the rung is not begun");
      co_await target->changed.wait(limit);
    }
  }

  void run() {
    scope.spawn("climb", climb(*this));
    loop.run_for(60s);
    REQUIRE(finished);
  }
  void run_with(Task<void> meanwhile) {
    scope.spawn("meanwhile", std::move(meanwhile));
    run();
  }

  std::vector<Rung> climbed() const {
    std::vector<Rung> rungs;
    for (const Climbed& c : climber.ladder().story()) rungs.push_back(c.rung);
    return rungs;
  }

  asio::io_context loop{1};
  Scope scope{loop.get_executor(), Log::silent()};
  std::shared_ptr<FakeTarget> target;
  Climber climber;
  bool finished = false;
};

using Rungs = std::vector<Rung>;

Task<void> force_during(Climb& c, Rung rung) {
  co_await c.begun(rung);
  c.climber.force();
}

Task<void> agent_dies_during(Climb& c, Rung rung) {
  co_await c.begun(rung);
  c.climber.agent_died();
}

}  // namespace

TEST_CASE("a target that obeys is asked, proved gone and cleaned") {
  Climb c(patient, {});
  c.run();
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::prove, Rung::clean});
  CHECK(c.target->begun == c.climbed());
  CHECK(c.climber.ladder().outcome() == Outcome::stopped);
  CHECK(c.climber.ladder().story()[0].detail == "from the target");
}

TEST_CASE("work that never ends is overtaken by force") {
  Climb c(patient, {{Rung::ask, Does::hang}});
  c.run_with(force_during(c, Rung::ask));
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::force, Rung::prove, Rung::clean});
  CHECK(c.climber.ladder().outcome() == Outcome::stopped);
}

TEST_CASE("work that never ends is overtaken by its deadline, on every rung") {
  const Plan hurried{.ask = 1ms, .force = 1ms, .kill = 1ms, .prove = 1ms, .clean = 1ms};
  Climb c(hurried,
          {{Rung::ask, Does::hang}, {Rung::force, Does::hang}, {Rung::kill, Does::hang}, {Rung::prove, Does::hang}});
  c.run();
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::force, Rung::kill, Rung::prove});
  CHECK(c.climber.ladder().outcome() == Outcome::stuck);
  for (const Climbed& climbed : c.climber.ladder().story()) CHECK(climbed.saw == Saw::expired);
}

TEST_CASE("a clean that hangs does not take back the proof") {
  Plan plan = patient;
  plan.clean = 1ms;
  Climb c(plan, {{Rung::clean, Does::hang}});
  c.run();
  CHECK(c.climber.ladder().outcome() == Outcome::stopped);
  CHECK(c.climber.ladder().story().back().saw == Saw::expired);
}

TEST_CASE("an agent that dies while it is asked, or while it forces, leaves kill at once") {
  for (const Rung rung : {Rung::ask, Rung::force}) {
    Climb c(patient, {{Rung::ask, rung == Rung::ask ? Does::hang : Does::refuse}, {Rung::force, Does::hang}});
    c.run_with(agent_dies_during(c, rung));
    CHECK(c.target->begun.back() == Rung::clean);
    CHECK(c.climbed().at(c.climbed().size() - 3) == Rung::kill);
    CHECK(c.climber.ladder().outcome() == Outcome::stopped);
  }
}

TEST_CASE("an answer that comes after its rung was overtaken is not taken for that of another rung") {
  Climb c(patient, {{Rung::ask, Does::hang}, {Rung::force, Does::hang}});
  const auto both = [](Climb& climb) -> Task<void> {
    co_await climb.begun(Rung::ask);
    climb.climber.force();
    co_await climb.begun(Rung::force);
    // The work of `ask` ends now, and that of `force` with it: only the second may count, and once.
    climb.target->released = true;
    climb.target->release.notify();
  };
  c.run_with(both(c));
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::force, Rung::prove, Rung::clean});
  CHECK(c.climber.ladder().story()[0].saw == Saw::refused);
  CHECK(c.climber.ladder().story()[1].saw == Saw::done);
}

TEST_CASE("force on a later rung does not repeat it") {
  Climb c(patient, {{Rung::prove, Does::hang}});
  const auto meanwhile = [](Climb& climb) -> Task<void> {
    co_await climb.begun(Rung::prove);
    climb.climber.force();
    climb.climber.force();
    climb.target->released = true;
    climb.target->release.notify();
  };
  c.run_with(meanwhile(c));
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::prove, Rung::clean});
}

TEST_CASE("work that ends with an exception counts as work that did not end") {
  Plan plan = patient;
  plan.ask = 1ms;
  Climb c(plan, {{Rung::ask, Does::fail}});
  c.run();
  CHECK(c.climbed() == Rungs{Rung::ask, Rung::force, Rung::prove, Rung::clean});
}

TEST_CASE("a rung's deadline begins when the rung does") {
  const auto before = Clock::now();
  Climb c(Plan{.ask = 1h, .force = 2h, .prove = 3h, .clean = 4h}, {{Rung::ask, Does::refuse}});
  c.run();
  const auto after = Clock::now();
  const std::vector<Duration> times{1h, 2h, 3h, 4h};
  REQUIRE(c.target->untils.size() == times.size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    CHECK(c.target->untils[i] >= before + times[i]);
    CHECK(c.target->untils[i] <= after + times[i]);
  }
}

TEST_CASE("a scope ends when all that it owns has ended, and says so when it has not") {
  asio::io_context loop(1);
  Scope scope(loop.get_executor(), Log::silent());
  Event go;
  bool released = false;
  std::vector<bool> joined;
  const auto wait = [](Event& event, bool& flag) -> Task<void> {
    while (!flag) co_await event.wait(Deadline::max());
  };
  const auto join = [](Scope& owner, Event& event, bool& flag, std::vector<bool>& out) -> Task<void> {
    const bool early = co_await owner.join(Clock::now() + 1ms);
    out.push_back(early);
    flag = true;
    event.notify();
    const bool late = co_await owner.join(Clock::now() + 30s);
    out.push_back(late);
  };
  scope.spawn("wait", wait(go, released));
  Scope other(loop.get_executor(), Log::silent());
  other.spawn("join", join(scope, go, released, joined));
  loop.run_for(60s);
  CHECK(joined == std::vector<bool>{false, true});
}
