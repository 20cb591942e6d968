#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/log.hpp"

// host.json: the settings of one home (sdk/schema/host.schema.json). Pure.
namespace bulkhead::store {

struct HostConfig {
  LogSettings log{};
  std::string containment = "strongest";
  std::vector<std::filesystem::path> driver_folders{};  // absolute
  std::optional<milliseconds> idle_exit{};              // nothing: never
  milliseconds stop_timeout{120'000};
  bool allow_service_wide_recovery = false;
};

// Everything that is wrong with a document, in one go; nothing when it can be used.
std::vector<Problem> check_host_config(const Json& document);

// invalid, with all problems, when check_host_config finds any. Relative paths become absolute against `home`.
Result<HostConfig> parse_host_config(const Json& document, const std::filesystem::path& home);

// The file's text; nothing: there is no file, and all is as by default.
Result<HostConfig> read_host_config(const std::optional<std::string>& text, const std::filesystem::path& home);

// "10m" as parse_duration, at least 1 s; or "never": nothing.
Result<std::optional<milliseconds>> parse_idle_exit(std::string_view text);

// JSON pointers of what differs.
std::vector<std::string> differences(const HostConfig& a, const HostConfig& b);

}  // namespace bulkhead::store
