#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/definition.hpp"

namespace bulkhead::cli {

// A script that completes the commands in this shell: bash, zsh, fish or powershell. Names of VMs are asked from
// `bulkhead completion names`, which starts nothing.
Result<std::string> completion_script(const CommandDefinition& program, const std::string& shell);

}  // namespace bulkhead::cli
