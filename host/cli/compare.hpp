#pragma once

#include <vector>

#include "base/json.hpp"

namespace bulkhead::cli {

// Where the two documents differ, and how, with the place as a JSON pointer. Pure.
std::vector<Problem> differences(const Json& has, const Json& wanted);

}  // namespace bulkhead::cli
