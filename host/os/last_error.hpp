#pragma once

#include <string>

#include "base/result.hpp"

namespace bulkhead::os {

// The calling thread's last system error as "what: <cause>"; call it before anything else can change it.
std::unexpected<Error> last_error(const std::string& what);
// The same for an error number that was kept.
std::unexpected<Error> system_error(int number, const std::string& what);

}  // namespace bulkhead::os
