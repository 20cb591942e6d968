#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "os/process.hpp"

// Which processes belong to a run, ending them all, and showing that none is left. docs/containment.md says what each
// mechanism can and cannot prove.
namespace bulkhead::contain {

// The environment variable that every process of a run is born with.
inline constexpr const char* run_variable = "BULKHEAD_RUN";

// What this machine lets this user have; found out once, by trying.
struct Provided {
  std::uint32_t mask = 0;               // of bulkhead_kill_semantics.containment
  std::string mechanism;                // "cgroup v2" or "process group + subreaper"
  std::filesystem::path cgroup_base{};  // where runs get their cgroups; empty without cgroups
  std::string obstacle{};               // why there are no cgroups
};
enum class Wish { strongest, process_group };
Provided provided(Wish wish);

// What is known of a run's processes.
struct Known {
  RunId run;
  std::vector<os::Identity> recorded{};    // from the ledger, the agent not among them
  std::optional<os::Identity> leader{};    // of the run's process group; one of `recorded`
  std::optional<os::Identity> guardian{};  // every descendant of it belongs to the run: the agent, while it lives
  std::string cgroup{};                    // the run's; empty when it has none
};

struct Member {
  os::Identity identity;
  std::string name;
  char state = '?';
  std::string found_by;  // "cgroup", "ledger", "group", "environment" or "descent"
};

// The members that are alive. A zombie without threads is not alive.
Result<std::vector<Member>> members(const Known& known);

struct Sweep {
  std::vector<Member> ended{};
  std::vector<Member> survivors{};  // alive at the deadline
  std::string obstacle{};           // why they are: the last error of a kill, or of looking
};

// Kills every member, and whatever appears while it does, until two looks in a row find nobody. Blocks until then or
// until the deadline. The leader goes first: what it leaves behind then only has to be waited for.
Sweep sweep(const Known& known, Deadline deadline);

}  // namespace bulkhead::contain
