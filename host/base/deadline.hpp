#pragma once

#include <algorithm>
#include <chrono>

namespace bulkhead {

using Clock = std::chrono::steady_clock;
using Duration = Clock::duration;
using std::chrono::milliseconds;

// A point in time, computed once per operation and passed down; never a fresh timeout per call.
using Deadline = Clock::time_point;

inline milliseconds remaining(Deadline deadline, Clock::time_point now) {
  return std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(deadline - now));
}

}  // namespace bulkhead
