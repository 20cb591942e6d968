#include "daemon/restarts.hpp"

#include <algorithm>

namespace bulkhead::daemon {

namespace {

milliseconds backoff(int restarts_before, const store::Restart& settings) {
  milliseconds delay = settings.delay;
  for (int i = 0; i < restarts_before && delay < settings.max_delay; ++i) delay *= 2;
  return std::min(delay, std::max(settings.max_delay, settings.delay));
}

}  // namespace

std::optional<milliseconds> Restarts::after(End end, Duration ran, const store::Restart& settings) {
  using Policy = store::Restart::Policy;
  gave_up_ = false;
  if (ran >= settings.reset_after) count_ = 0;
  const bool wanted =
      settings.policy == Policy::always || (settings.policy == Policy::on_failure && end == End::failed);
  if (!wanted) return std::nullopt;
  if (settings.limit > 0 && count_ >= settings.limit) {
    gave_up_ = true;
    return std::nullopt;
  }
  return backoff(count_++, settings);
}

milliseconds Restarts::last_delay(const store::Restart& settings) const {
  return backoff(std::max(count_ - 1, 0), settings);
}

void Restarts::forget() {
  count_ = 0;
  gave_up_ = false;
}

}  // namespace bulkhead::daemon
