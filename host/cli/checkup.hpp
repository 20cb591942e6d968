#pragma once

#include "cli/doctor.hpp"
#include "cli/link.hpp"

namespace bulkhead::cli {

enum class Daemon { start, as_it_is };
// Asks the daemon, and reads host.json.
Symptoms check_up(const Link& link, Daemon daemon);

}  // namespace bulkhead::cli
