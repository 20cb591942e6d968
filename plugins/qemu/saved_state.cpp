#include "qemu/saved_state.hpp"

#include <nlohmann/json.hpp>

#include "qemu/json_text.hpp"

namespace bulkhead::qemu {

std::string state_text(const SavedState& state) {
  return json_text({{"version", SavedState::version},
                    {"guest_name", state.guest_name},
                    {"qmp", state.qmp},
                    {"qmp_emergency", state.qmp_emergency},
                    {"console", state.console},
                    {"console_log", state.console_log},
                    {"accelerator", state.accelerator}});
}

std::optional<SavedState> read_state(const nlohmann::json& state) {
  if (!state.is_object()) return std::nullopt;
  const auto text = [&](const char* name) {
    const auto it = state.find(name);
    return it != state.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  SavedState out{text("guest_name"), text("qmp"),         text("qmp_emergency"),
                 text("console"),    text("console_log"), text("accelerator")};
  if (out.guest_name.empty() || out.qmp.empty() || out.qmp_emergency.empty()) return std::nullopt;
  return out;
}

}  // namespace bulkhead::qemu
