#pragma once

#include <optional>

#include "base/deadline.hpp"

namespace bulkhead::daemon {

// When a daemon that nobody needs may end. Pure: it is told what is seen, and when.
class Idle {
 public:
  explicit Idle(Deadline now) : since_(now) {}
  // Nothing: never.
  void set_limit(std::optional<milliseconds> limit) { limit_ = limit; }
  enum class Seen { busy, nobody };
  // True: nobody has been seen for the whole limit. What happens between two looks is told to used().
  bool over(Seen seen, Deadline now);
  void used(Deadline now) { since_ = now; }
  // When to look again: at the latest when the limit could be over, and often enough to see what ends.
  Deadline next_look(Deadline now) const;

 private:
  std::optional<milliseconds> limit_;
  Deadline since_;
};

}  // namespace bulkhead::daemon
