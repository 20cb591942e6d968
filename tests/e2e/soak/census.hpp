#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/census.hpp"

namespace bulkhead::e2e::soak {

// What /proc says of one VM: nothing here comes from the host.
struct Life {
  std::vector<support::Seen> qemus{};
  std::vector<support::Seen> agents{};
  std::set<std::string> runs{};         // of all that lives of it
  std::vector<support::Seen> others{};  // with the mark of one of these runs
};

struct Census {
  std::map<std::string, Life> vms{};
  std::vector<support::Seen> daemons{};
  std::vector<support::Seen> strangers{};  // of this host, and it cannot be said what they are
};

// Of the host whose folder this is. Not of one moment: what begins and ends meanwhile may be seen or not.
Census look(const std::filesystem::path& folder);

// Of the QEMUs that were seen of one VM, those that ran at the same time; at most one when all is well.
std::vector<support::Seen> at_the_same_time(const std::vector<support::Seen>& qemus);

}  // namespace bulkhead::e2e::soak
