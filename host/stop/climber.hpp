#pragma once

#include <memory>
#include <string>

#include "base/async.hpp"
#include "stop/ladder.hpp"

namespace bulkhead::stop {

struct Seen {
  Saw saw = Saw::refused;
  std::string detail{};
};

// What the ladder is climbed against. Each call is the work of one rung; it bounds itself by `until`, and must allow
// that the next rung is begun while it still runs (its answer is then not looked at any more).
class Target {
 public:
  virtual ~Target() = default;
  virtual Task<Seen> perform(Rung rung, Deadline until) = 0;
};

// Climbs a ladder: begins each rung's work, waits for its end or its deadline, and looks at requests that overtake it.
class Climber {
 public:
  Climber(const Plan& plan, std::shared_ptr<Target> target, Scope& scope);
  // Returns when the ladder is finished. Once.
  Task<void> run();
  // May be called at any time from the same thread.
  void force();
  void agent_died();
  const Ladder& ladder() const { return ladder_; }

 private:
  Ladder ladder_;
  std::shared_ptr<Target> target_;
  Scope& scope_;
  std::shared_ptr<Event> changed_ = std::make_shared<Event>();
};

}  // namespace bulkhead::stop
