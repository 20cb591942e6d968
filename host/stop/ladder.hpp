#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"

// The stop protocol without I/O and without a clock: it is fed what was seen and when, and says what to do next.
//
//   ask → force → kill → prove → clean
//
// A rung is left when its work is done, has failed, or its time is up. A failed proof goes back to the next stronger
// rung that was not climbed yet; after `kill` there is none, and the VM is stuck. Nothing is cleaned before the proof.
namespace bulkhead::stop {

enum class Rung { ask, force, kill, prove, clean };
std::string_view name(Rung rung);

// How long each rung may take; computed from the driver's declaration and the request. A rung without a time is not
// climbed.
struct Plan {
  std::optional<Duration> ask{};    // the grace period; nothing: the guest is not asked
  std::optional<Duration> force{};  // the declared forced_deadline; nothing: the agent is dead, or cannot
  std::optional<Duration> kill{};   // agent by identity, then the declared offline stop; nothing: declared impossible
  Duration prove{};
  // Of a proof that a stronger rung can still follow: what is alive after that long is not waited for but ended.
  std::optional<Duration> linger{};  // nothing: as long as `prove`
  Duration clean{};
};

// What the work of a rung came to.
enum class Saw {
  done,     // ask, force, kill: the VM is said to be gone; prove: proved gone; clean: nothing is left
  refused,  // the guest ignored it, or the work failed
  expired,  // its time was up
};
std::string_view name(Saw saw);

struct Step {
  Rung rung;
  Deadline until;
};

// One rung as it went; the lines of the report.
struct Climbed {
  Rung rung;
  Clock::time_point began;
  Clock::time_point ended;
  Saw saw;
  std::string detail;
};

enum class Outcome { stopped, stuck };
std::string_view name(Outcome outcome);

class Ladder {
 public:
  Ladder(const Plan& plan, Clock::time_point now);

  // What to do now, and until when; nothing when finished.
  std::optional<Step> step() const { return step_; }
  // The current step's work ended. Returns at once with the next step().
  void saw(Saw what, std::string detail, Clock::time_point now);
  // Somebody asked for force: an `ask` under way is left at once. On any other rung force is under way already.
  void force(Clock::time_point now);
  // The agent is dead: what only it can do is left, and not climbed any more.
  void agent_died(Clock::time_point now);

  // Once step() is nothing.
  Outcome outcome() const { return outcome_; }
  // The strongest rung that was climbed.
  Rung rung() const { return strongest_; }
  const std::vector<Climbed>& story() const { return story_; }

 private:
  void climb(Rung rung, Clock::time_point now);
  void climb_stronger(Clock::time_point now);
  std::optional<Rung> stronger() const;
  void finish(Outcome outcome);
  std::optional<Duration> time_for(Rung rung) const;

  Plan plan_;
  std::optional<Step> step_;
  Clock::time_point began_;
  Rung strongest_ = Rung::ask;
  Outcome outcome_ = Outcome::stuck;
  std::vector<Climbed> story_;
};

}  // namespace bulkhead::stop
