#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace bulkhead::qemu {

// json::dump throws on text that is not UTF-8, which a log line or a guest's message may be.
inline std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace bulkhead::qemu
