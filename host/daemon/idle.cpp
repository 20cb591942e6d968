#include "daemon/idle.hpp"

#include <algorithm>

namespace bulkhead::daemon {

bool Idle::over(Seen seen, Deadline now) {
  if (seen == Seen::busy) since_ = now;
  return seen == Seen::nobody && limit_ && now - since_ >= *limit_;
}

Deadline Idle::next_look(Deadline now) const {
  constexpr milliseconds often{1'000};
  if (!limit_) return now + often;
  return std::clamp(since_ + *limit_, now + milliseconds{1}, now + often);
}

}  // namespace bulkhead::daemon
