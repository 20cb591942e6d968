#pragma once

#include <string>

#include "base/json.hpp"

namespace bulkhead::cli {

// The same document as YAML, with its last newline. A string that some YAML reader could take for something else (yes,
// 12:30, 0x1f, ...) is quoted.
std::string to_yaml(const Json& value);

}  // namespace bulkhead::cli
