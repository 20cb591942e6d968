#pragma once

#include <chrono>
#include <thread>

namespace bulkhead::support {

// Far more than anything here takes: it is only spent when a test fails.
inline constexpr std::chrono::seconds generous{20};

// True as soon as the predicate is; false when it is not within the limit. For events that cannot be waited for
// directly.
template <class Predicate>
bool eventually(std::chrono::milliseconds limit, Predicate&& predicate) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (predicate()) return true;
    if (std::chrono::steady_clock::now() >= end) return predicate();
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
}

template <class Predicate>
bool eventually(Predicate&& predicate) {
  return eventually(generous, static_cast<Predicate&&>(predicate));
}

}  // namespace bulkhead::support
