#include "daemon/settings.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace bulkhead::daemon {

namespace {

bool can_change(const std::string& pointer) {
  constexpr std::array<std::string_view, 4> at_once{"/log/level", "/log/format", "/idle_exit", "/stop_timeout"};
  return std::ranges::find(at_once, pointer) != at_once.end();
}

}  // namespace

Result<Settings> Settings::of(const Wishes& wishes, const store::HostConfig& file) {
  Fixed fixed;
  for (const std::string& level : {wishes.log_level, wishes.log_level_of_environment}) {
    if (level.empty() || fixed.level) continue;
    TRY(fixed.level, parse_log_level(level));
  }
  if (!wishes.containment.empty()) fixed.containment = wishes.containment;
  if (!wishes.idle_exit.empty()) {
    TRY(fixed.idle_exit, store::parse_idle_exit(wishes.idle_exit));
  }
  return Settings{std::move(fixed), file};
}

Settings::Settings(Fixed fixed, const store::HostConfig& file)
    : fixed_(std::move(fixed)), began_with_(file), file_(file), now_(with_wishes(file)) {}

store::HostConfig Settings::with_wishes(store::HostConfig config) const {
  if (fixed_.level) config.log.level = *fixed_.level;
  if (fixed_.containment) config.containment = *fixed_.containment;
  if (fixed_.idle_exit) config.idle_exit = *fixed_.idle_exit;
  return config;
}

bool Settings::is_fixed(const std::string& pointer) const {
  return (pointer == "/log/level" && fixed_.level) || (pointer == "/containment" && fixed_.containment) ||
         (pointer == "/idle_exit" && fixed_.idle_exit);
}

Settings::Change Settings::reload(const store::HostConfig& file) {
  Change change;
  for (std::string& pointer : store::differences(file_, file)) {
    if (is_fixed(pointer)) {
      change.overridden.push_back(std::move(pointer));
    } else if (can_change(pointer)) {
      change.applied.push_back(std::move(pointer));
    }
  }
  for (std::string& pointer : store::differences(began_with_, file)) {
    if (!can_change(pointer) && !is_fixed(pointer)) change.needs_restart.push_back(std::move(pointer));
  }
  store::HostConfig next = began_with_;
  next.log.level = file.log.level;
  next.log.format = file.log.format;
  next.idle_exit = file.idle_exit;
  next.stop_timeout = file.stop_timeout;
  file_ = file;
  now_ = with_wishes(std::move(next));
  return change;
}

Json to_json(const Settings::Change& change) {
  return {{"applied", change.applied}, {"needs_restart", change.needs_restart}, {"overridden", change.overridden}};
}

}  // namespace bulkhead::daemon
