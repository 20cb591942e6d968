#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
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
// Beside it: the mark of the home that the run belongs to (store::Store::mark).
inline constexpr const char* home_variable = "BULKHEAD_HOME_MARK";

enum class Mechanism { cgroup, pid_namespace, process_group };  // strongest first
std::string_view name(Mechanism mechanism);                     // "cgroup", "pid-namespace", "process-group"
std::optional<Mechanism> mechanism_named(std::string_view name);
// What a run contained by it can be promised, of bulkhead_kill_semantics.containment.
std::uint32_t mask_of(Mechanism mechanism);

// What this machine lets this user have.
struct Provided {
  Mechanism mechanism = Mechanism::process_group;
  std::filesystem::path cgroup_base{};  // where runs get their cgroups; empty without cgroups
  struct Obstacle {
    Mechanism mechanism;
    std::string why;
  };
  std::vector<Obstacle> obstacles{};  // the stronger ones, and why each cannot be had
};
// Found out by trying, strongest first. unsupported, denied: the wanted one cannot be had.
Result<Provided> provide(std::optional<Mechanism> wanted);

// What is known of a run's processes.
struct Known {
  RunId run;
  std::vector<os::Identity> recorded{};    // from the ledger, the agent not among them
  std::optional<os::Identity> leader{};    // of the run's process group; one of `recorded`
  std::optional<os::Identity> guardian{};  // every descendant of it belongs to the run: the agent, while it lives
  std::string cgroup{};                    // the run's; empty when it has none
  std::optional<os::Identity> init{};      // of the run's pid namespace; one of `recorded`
};

struct Member {
  os::Identity identity;
  std::string name;
  char state = '?';
  std::string found_by;  // "cgroup", "namespace", "ledger", "group", "environment" or "descent"
};

// The members that are alive. A zombie without threads is not alive.
Result<std::vector<Member>> members(const Known& known);
// True: these are at most the init of its pid namespace, which is the host's own and does nothing: the VM has ended.
bool only_init(const Known& known, const std::vector<Member>& members);

struct Sweep {
  std::vector<Member> ended{};
  std::vector<Member> survivors{};  // alive at the deadline
  std::string obstacle{};           // why they are: the last error of a kill, or of looking
};

// The kernel's own word on whether the run's cgroup or pid namespace is empty; nothing for a run that has neither.
struct Verdict {
  bool empty = false;
  std::string oracle;  // who says it, and what: for the report
  std::string says;
};
Result<std::optional<Verdict>> kernel_verdict(const Known& known);

// Kills every member, and whatever appears while it does, until two looks in a row find nobody. Blocks until then or
// until the deadline. The leader goes first: what it leaves behind then only has to be waited for.
Sweep sweep(const Known& known, Deadline deadline);

}  // namespace bulkhead::contain
