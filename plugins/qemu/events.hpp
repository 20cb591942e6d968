// What QEMU reports, as the VM events that driver.h lists. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "qemu/qmp.hpp"

namespace bulkhead::qemu {

struct VmEvent {
  std::string name;
  nlohmann::json data;
};

std::optional<VmEvent> vm_event(const qmp::Event& event);

// The event does not say why the guest stopped; query-status does.
bool hides_run_state(const qmp::Event& event);

// A warning for a run state in which the guest cannot go on by itself.
std::optional<VmEvent> run_state_warning(std::string_view run_state);

}  // namespace bulkhead::qemu
