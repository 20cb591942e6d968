#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "store/host_config.hpp"

namespace bulkhead::daemon {

// As written on the command line or in the environment; "": not given. It goes before host.json, and the command line
// before the environment.
struct Wishes {
  std::string log_level;
  std::string log_level_of_environment;
  std::string containment;
  std::string idle_exit;
};

// What is in force in a daemon that runs. Pure.
class Settings {
 public:
  static Result<Settings> of(const Wishes& wishes, const store::HostConfig& file);

  const store::HostConfig& now() const { return now_; }
  // JSON pointers into host.json.
  struct Change {
    std::vector<std::string> applied;        // in force from now on
    std::vector<std::string> needs_restart;  // differs from what this daemon began with
    std::vector<std::string> overridden;     // differs from before; but the command line or the environment decides
  };
  Change reload(const store::HostConfig& file);

 private:
  struct Fixed {
    std::optional<LogLevel> level;
    std::optional<std::string> containment;
    std::optional<std::optional<milliseconds>> idle_exit;
  };
  Settings(Fixed fixed, const store::HostConfig& file);
  bool is_fixed(const std::string& pointer) const;
  store::HostConfig with_wishes(store::HostConfig config) const;

  Fixed fixed_;
  store::HostConfig began_with_;
  store::HostConfig file_;  // as read last
  store::HostConfig now_;
};

Json to_json(const Settings::Change& change);

}  // namespace bulkhead::daemon
