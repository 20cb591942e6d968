#pragma once

#include <optional>

#include "base/deadline.hpp"
#include "store/spec.hpp"

namespace bulkhead::daemon {

// Whether, and after which delay, a VM that ended by itself is started again. Pure.
class Restarts {
 public:
  enum class End { clean, failed };  // the guest shut down; or the VM, or a start of it, failed

  // Nothing: it stays as it is. Otherwise it counts as a restart from now on.
  std::optional<milliseconds> after(End end, Duration ran, const store::Restart& settings);
  // Of the restart that was counted last.
  milliseconds last_delay(const store::Restart& settings) const;
  // A client took it in hand: counts from 0.
  void forget();
  // What an earlier daemon had counted.
  void resume(int count) { count_ = count; }

  int count() const { return count_; }
  // The last end would have been followed by another start, had there not been too many.
  bool gave_up() const { return gave_up_; }

 private:
  int count_ = 0;
  bool gave_up_ = false;
};

}  // namespace bulkhead::daemon
