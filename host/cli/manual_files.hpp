#pragma once

#include <filesystem>
#include <string>

#include "base/result.hpp"
#include "cli/definition.hpp"

namespace bulkhead::cli {

// All manual pages, that of bulkheadd included, into a folder that is created.
Result<void> write_manual_files(const CommandDefinition& program, const std::string& version,
                                const std::filesystem::path& folder);

}  // namespace bulkhead::cli
