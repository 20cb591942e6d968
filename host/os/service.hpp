#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

// Who started this program, when a service manager did, and what it wants to be told: the protocols of sd_notify(3),
// sd_watchdog_enabled(3) and sd_listen_fds(3). Without one all of it does nothing.
class Service {
 public:
  // Takes it from the environment, where nothing of it remains: no child may speak for this program, or take its
  // sockets. Once, before there is a second thread. Handles that were passed are closed on exec from here on.
  static Service from_environment();

  // True: a manager keeps this process in a unit of its own, which it must not leave.
  bool managed() const { return managed_; }

  // An error says why the manager was not told. None of these takes longer than half a second.
  Result<void> ready() const;
  Result<void> reloading() const;  // then ready() again, also when it failed
  Result<void> stopping() const;
  Result<void> status(std::string_view text) const;
  Result<void> alive() const;  // for the watchdog
  // How often alive() is due: half the time that the manager waits. Nothing: it does not wait for it.
  std::optional<milliseconds> alive_interval() const { return alive_interval_; }

  // The listening socket that was passed; none without. invalid: what was passed is not one stream socket that listens
  // at `path`. Then clients would not be reached, or others would. Once.
  Result<UniqueHandle> take_listener(const std::filesystem::path& path);

 private:
  Service() = default;
  Result<void> tell(std::string_view state, milliseconds limit) const;

  std::string notify_;  // a path, or '@' and a name
  std::optional<milliseconds> alive_interval_;
  std::vector<UniqueHandle> passed_;
  std::size_t announced_ = 0;
  bool managed_ = false;
};

}  // namespace bulkhead::os
