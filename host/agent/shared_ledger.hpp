#pragma once

#include <mutex>
#include <utility>

#include "store/ledger.hpp"

namespace bulkhead::agent {

// The run's ledger, written by the driver thread and by the agent's own. Any thread.
class SharedLedger {
 public:
  explicit SharedLedger(store::Ledger ledger) : ledger_(std::move(ledger)) {}
  Result<void> append(const Json& record) {
    const std::lock_guard lock(mutex_);
    return ledger_.append(record);
  }

 private:
  std::mutex mutex_;
  store::Ledger ledger_;
};

}  // namespace bulkhead::agent
