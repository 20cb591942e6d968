#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace bulkhead::os {

// The home directory: `wanted`, or $BULKHEAD_HOME, or the platform's state directory for this user. Absolute; not
// created.
Result<std::filesystem::path> home_directory(const std::string& wanted);

// The directory for sockets of this home: per boot, short (a socket's path is limited to 104 bytes), one per home. The
// home ".local/state/bulkhead" in the directory of the user's account has the one named "default". Not created.
Result<std::filesystem::path> runtime_directory(const std::filesystem::path& home);

// The folder of the program that is running.
Result<std::filesystem::path> program_directory();

// The value of an environment variable; nothing when unset or empty.
std::optional<std::string> environment(const char* name);

}  // namespace bulkhead::os
