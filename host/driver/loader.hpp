#pragma once

#include <filesystem>

#include "bulkhead/driver.h"

#include "base/json.hpp"
#include "base/result.hpp"

namespace bulkhead::driver {

// Loads a driver into this process and checks its entry: sizes, ABI, mandatory functions. It stays loaded until the
// process ends. The error carries the loader's own words.
Result<const bulkhead_entry*> load(const std::filesystem::path& library);

}  // namespace bulkhead::driver
