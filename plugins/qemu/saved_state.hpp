// What a new agent needs to find a running VM again. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace bulkhead::qemu {

struct SavedState {
  static constexpr int version = 1;
  std::string guest_name;
  std::string qmp;
  std::string qmp_emergency;
  std::string console;  // empty: none
  std::string console_log;
  std::string accelerator;
};

std::string state_text(const SavedState& state);

// Nothing when a field that is needed to reach the VM is missing.
std::optional<SavedState> read_state(const nlohmann::json& state);

}  // namespace bulkhead::qemu
