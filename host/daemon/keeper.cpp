#include "daemon/keeper.hpp"

#include <utility>

#include "base/timestamp.hpp"
#include "os/process.hpp"

namespace bulkhead::daemon {

using State = store::Desired::State;

Keeper::Keeper(const Surroundings& surroundings, VmName name) : surroundings_(surroundings), name_(std::move(name)) {
  auto desired = surroundings_.store.load_desired(name_);
  if (desired) {
    desired_ = *std::move(desired);
  } else {
    surroundings_.log.warning("'" + name_.str() + "' is taken as wanted stopped: " + desired.error().what);
  }
  restarts_.resume(desired_.restarts);
}

void Keeper::save() {
  desired_.restarts = restarts_.count();
  desired_.restart_due = next_.has_value();
  auto saved = surroundings_.store.save_desired(name_, desired_);
  if (!saved) surroundings_.log.warning(saved.error().what);
  unsaved_ = !saved;
}

void Keeper::want(State state) {
  bool same = !unsaved_ && desired_.state == state && desired_.restarts == 0 && !desired_.restart_due;
  desired_.state = state;
  // The autostart of this boot must not overrule it.
  if (auto boot = os::boot_id(); boot && desired_.autostarted_boot != *boot) {
    desired_.autostarted_boot = *std::move(boot);
    same = false;
  }
  restarts_.forget();
  next_.reset();
  ++plan_;
  if (!same) save();
}

std::optional<milliseconds> Keeper::ended(Restarts::End end, Duration ran, const store::Restart& settings) {
  if (!wants_running()) return std::nullopt;
  const auto delay = restarts_.after(end, ran, settings);
  ++plan_;
  if (delay) {
    next_ = std::chrono::system_clock::now() + *delay;
  } else {
    next_.reset();
    desired_.state = State::stopped;
  }
  save();
  if (held_) return std::nullopt;  // the next daemon goes on from here
  return delay;
}

std::optional<milliseconds> Keeper::resume(const store::Restart& settings) {
  const milliseconds delay = restarts_.last_delay(settings);
  ++plan_;
  next_ = std::chrono::system_clock::now() + delay;
  if (held_) return std::nullopt;
  return delay;
}

void Keeper::restarting() {
  next_.reset();
  ++plan_;
  save();
}

void Keeper::hold() {
  held_ = true;
  ++plan_;
}

Keeper::AtStart Keeper::at_start(const store::VmSpec& spec, const std::string& boot_id) {
  const bool new_boot = desired_.autostarted_boot != boot_id;
  const bool ran = wants_running();
  const bool always = spec.autostart || spec.restart.policy == store::Restart::Policy::always;
  if (spec.autostart && new_boot) {
    desired_.autostarted_boot = boot_id;
    desired_.state = State::running;
    save();
    return AtStart::start;
  }
  if (!ran || planned()) return AtStart::nothing;
  if (desired_.restart_due && spec.restart.policy != store::Restart::Policy::never) return AtStart::restart;
  if (always) return AtStart::start;
  want(State::stopped);
  return AtStart::nothing;
}

Json Keeper::describe(const store::Restart& settings) const {
  Json json{{"policy", store::name(settings.policy)},
            {"count", restarts_.count()},
            {"limit", settings.limit},
            {"gave_up", restarts_.gave_up()}};
  if (next_ && !held_) json["next_at"] = timestamp(*next_);
  return json;
}

}  // namespace bulkhead::daemon
