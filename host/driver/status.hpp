#pragma once

#include "bulkhead/driver.h"

#include "base/result.hpp"

namespace bulkhead::driver {

// The same vocabulary on both sides of the C ABI.
Code code_of(bulkhead_status status);
bulkhead_status status_of(Code code);

}  // namespace bulkhead::driver
