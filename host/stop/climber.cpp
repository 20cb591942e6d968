#include "stop/climber.hpp"

#include <optional>
#include <utility>

namespace bulkhead::stop {

Climber::Climber(const Plan& plan, std::shared_ptr<Target> target, Scope& scope)
    : ladder_(plan, Clock::now()), target_(std::move(target)), scope_(scope) {}

namespace {

Task<void> ask_target(std::shared_ptr<Target> target, Step step, std::shared_ptr<std::optional<Seen>> seen,
                      std::shared_ptr<Event> changed) {
  auto answer = co_await target->perform(step.rung, step.until);
  *seen = std::move(answer);
  changed->notify();
}

}  // namespace

Task<void> Climber::run() {
  // The work bounds itself by `until`; the wait for it is a little longer, so that its own words reach the report.
  constexpr auto slack = milliseconds{500};
  while (const auto step = ladder_.step()) {
    const Deadline limit = step->until + slack;
    const std::size_t rungs_before = ladder_.story().size();
    auto seen = std::make_shared<std::optional<Seen>>();
    scope_.spawn(std::string(name(step->rung)), ask_target(target_, *step, seen, changed_));
    // force() and agent_died() move the ladder on by themselves: the story has grown then.
    while (!*seen && ladder_.story().size() == rungs_before && Clock::now() < limit) {
      co_await changed_->wait(limit);
    }
    if (ladder_.story().size() != rungs_before) continue;
    if (*seen) {
      ladder_.saw((*seen)->saw, std::move((*seen)->detail), Clock::now());
    } else {
      ladder_.saw(Saw::expired, "its time was up", Clock::now());
    }
  }
}

void Climber::force() {
  ladder_.force(Clock::now());
  changed_->notify();
}

void Climber::agent_died() {
  ladder_.agent_died(Clock::now());
  changed_->notify();
}

}  // namespace bulkhead::stop
