#pragma once

#include <filesystem>

#include "base/result.hpp"

namespace bulkhead::cli {

// Connects this terminal with a local socket until the socket's other end closes, or Ctrl-] is typed. A standard input
// that is no terminal is copied to its end, and the output goes on.
Result<void> connect_terminal(const std::filesystem::path& socket);

}  // namespace bulkhead::cli
