#include "qemu/events.hpp"

namespace bulkhead::qemu {
namespace {

using nlohmann::json;

bool by_guest(const json& data) {
  const auto it = data.find("guest");
  return it != data.end() && it->is_boolean() && it->get<bool>();
}

std::string text_at(const json& data, const char* name) {
  const auto it = data.find(name);
  return it != data.end() && it->is_string() ? it->get<std::string>() : std::string();
}

VmEvent with_reason(const char* name, const json& data) {
  json out = json::object();
  if (const std::string reason = text_at(data, "reason"); !reason.empty()) out["reason"] = reason;
  return {name, std::move(out)};
}

VmEvent warning(const std::string& message) { return {"warning", {{"message", message}}}; }

VmEvent disk_error(const json& data) {
  std::string node = text_at(data, "node-name");
  if (node.empty()) node = text_at(data, "device");
  std::string operation = text_at(data, "operation");
  if (operation.empty()) operation = "access";
  std::string reason = text_at(data, "reason");
  if (reason.empty()) reason = "I/O error";
  return warning(operation + " disk '" + node + "': " + reason);
}

}  // namespace

std::optional<VmEvent> vm_event(const qmp::Event& event) {
  if (event.name == "SHUTDOWN") {
    if (!by_guest(event.data)) return std::nullopt;
    return with_reason("guest-shutdown", event.data);
  }
  if (event.name == "RESET") {
    if (!by_guest(event.data)) return std::nullopt;
    return with_reason("guest-reset", event.data);
  }
  if (event.name == "GUEST_PANICKED") {
    json data = json::object();
    if (const std::string action = text_at(event.data, "action"); !action.empty()) data["action"] = action;
    return VmEvent{"guest-panicked", std::move(data)};
  }
  if (event.name == "STOP") return VmEvent{"paused", json::object()};
  if (event.name == "RESUME") return VmEvent{"resumed", json::object()};
  if (event.name == "BLOCK_IO_ERROR") return disk_error(event.data);
  return std::nullopt;
}

bool hides_run_state(const qmp::Event& event) { return event.name == "STOP"; }

std::optional<VmEvent> run_state_warning(std::string_view run_state) {
  if (run_state == "io-error") return warning("the guest is paused: a disk failed or its file system is full");
  if (run_state == "internal-error") return warning("the guest is dead: the accelerator failed with an internal error");
  if (run_state == "watchdog") return warning("the guest is paused: its watchdog fired");
  return std::nullopt;
}

}  // namespace bulkhead::qemu
