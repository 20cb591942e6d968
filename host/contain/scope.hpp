#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace bulkhead::contain {

// Goes on as the same process, from its beginning, inside a transient scope that the user's systemd delegates to it:
// there this user may make cgroups (systemd.resource-control(5), Delegate=). Returns only when that cannot be had, with
// the reason. argv: of this program.
Error restart_in_scope(const std::vector<std::string>& argv);

}  // namespace bulkhead::contain
