#pragma once

#include "base/result.hpp"
#include "bulkhead/driver.h"

namespace bulkhead::driver {

// The same vocabulary on both sides of the C ABI.
Code code_of(bulkhead_status status);
bulkhead_status status_of(Code code);

}  // namespace bulkhead::driver
