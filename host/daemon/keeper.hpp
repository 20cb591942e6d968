#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "daemon/restarts.hpp"
#include "daemon/surroundings.hpp"
#include "store/store.hpp"

namespace bulkhead::daemon {

// What one VM is wanted to be, and when it is started again; written down in its desired.json. What cannot be written
// is in force all the same, and logged: a full disk must not keep a VM from being stopped.
class Keeper {
 public:
  Keeper(const Surroundings& surroundings, VmName name);

  // A client's word. A restart that was planned is not wanted any more, and the count begins anew.
  void want(store::Desired::State state);
  // The VM ended by itself, or a start that we made failed. The delay until it is to be started again.
  std::optional<milliseconds> ended(Restarts::End end, Duration ran, const store::Restart& settings);
  // The same for a restart that an earlier daemon had planned, and counted.
  std::optional<milliseconds> resume(const store::Restart& settings);
  // The planned restart begins.
  void restarting();
  // From now on nothing is started again by this daemon.
  void hold();

  // What a daemon that begins is to do with a VM that has no run.
  enum class AtStart { nothing, start, restart };
  AtStart at_start(const store::VmSpec& spec, const std::string& boot_id);

  bool wants_running() const { return desired_.state == store::Desired::State::running; }
  bool gave_up() const { return restarts_.gave_up(); }
  int restarts() const { return restarts_.count(); }
  // Counts the plans: a plan is still in force when this has not changed.
  std::size_t plan() const { return plan_; }
  bool planned() const { return next_.has_value(); }
  bool held() const { return held_; }
  // For clients: {policy, count, limit, gave_up, next_at}.
  Json describe(const store::Restart& settings) const;

 private:
  void save();

  const Surroundings& surroundings_;
  VmName name_;
  store::Desired desired_;
  Restarts restarts_;
  std::optional<std::chrono::system_clock::time_point> next_;
  std::size_t plan_ = 0;
  bool held_ = false;
  bool unsaved_ = false;  // what is written down is not what is in force
};

}  // namespace bulkhead::daemon
