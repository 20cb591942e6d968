#include "stop/ladder.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::stop {

std::string_view name(Rung rung) {
  switch (rung) {
    case Rung::ask: return "ask";
    case Rung::force: return "force";
    case Rung::kill: return "kill";
    case Rung::prove: return "prove";
    case Rung::clean: return "clean";
  }
  return "";
}

std::string_view name(Saw saw) {
  switch (saw) {
    case Saw::done: return "done";
    case Saw::refused: return "refused";
    case Saw::expired: return "expired";
  }
  return "";
}

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::stopped: return "stopped";
    case Outcome::stuck: return "stuck";
  }
  return "";
}

Ladder::Ladder(const Plan& plan, Clock::time_point now) : plan_(plan), began_(now) {
  if (plan_.ask) {
    climb(Rung::ask, now);
  } else {
    climb_stronger(now);
  }
}

void Ladder::saw(Saw what, std::string detail, Clock::time_point now) {
  if (!step_) return;
  const Rung rung = step_->rung;
  story_.push_back({.rung = rung, .began = began_, .ended = now, .saw = what, .detail = std::move(detail)});
  switch (rung) {
    case Rung::ask:
    case Rung::force:
      if (what == Saw::done) {
        climb(Rung::prove, now);
      } else {
        climb_stronger(now);
      }
      return;
    case Rung::kill: climb(Rung::prove, now); return;
    case Rung::prove:
      if (what == Saw::done) {
        climb(Rung::clean, now);
      } else {
        climb_stronger(now);
      }
      return;
    case Rung::clean: finish(Outcome::stopped); return;
  }
}

void Ladder::force(Clock::time_point now) {
  if (step_ && step_->rung == Rung::ask) saw(Saw::refused, "overtaken by force", now);
}

void Ladder::agent_died(Clock::time_point now) {
  plan_.ask.reset();
  plan_.force.reset();
  if (step_ && (step_->rung == Rung::ask || step_->rung == Rung::force)) saw(Saw::refused, "the agent died", now);
}

void Ladder::climb(Rung rung, Clock::time_point now) {
  if (rung == Rung::ask || rung == Rung::force || rung == Rung::kill) strongest_ = rung;
  began_ = now;
  step_ = Step{.rung = rung, .until = now + time_for(rung).value_or(Duration::zero())};
}

// Each of force and kill is climbed at most once, and force never after kill, so the ladder ends.
std::optional<Rung> Ladder::stronger() const {
  const auto climbed = [this](Rung rung) {
    return std::ranges::any_of(story_, [rung](const Climbed& past) { return past.rung == rung; });
  };
  const bool killed = climbed(Rung::kill);
  if (plan_.force && !killed && !climbed(Rung::force)) return Rung::force;
  if (plan_.kill && !killed) return Rung::kill;
  return std::nullopt;
}

void Ladder::climb_stronger(Clock::time_point now) {
  if (const auto rung = stronger()) {
    climb(*rung, now);
  } else if (!story_.empty() && story_.back().rung == Rung::prove) {
    finish(Outcome::stuck);
  } else {
    climb(Rung::prove, now);  // nothing stronger is left to do: the truth is still to be told
  }
}

void Ladder::finish(Outcome outcome) {
  outcome_ = outcome;
  step_.reset();
}

std::optional<Duration> Ladder::time_for(Rung rung) const {
  switch (rung) {
    case Rung::ask: return plan_.ask;
    case Rung::force: return plan_.force;
    case Rung::kill: return plan_.kill;
    case Rung::prove: return stronger() ? plan_.linger.value_or(plan_.prove) : plan_.prove;
    case Rung::clean: return plan_.clean;
  }
  return std::nullopt;
}

}  // namespace bulkhead::stop
