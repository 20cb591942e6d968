#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "contain/containment.hpp"
#include "store/store.hpp"

// What earlier runs of this home left and no ledger claims any more: its VM's folder was removed while it ran, or a
// backup was put in the home's place. docs/containment.md says how it is told from what belongs to others. Everything
// here blocks, and needs no daemon's state: it may be called on any thread, by the one process that serves the home.
namespace bulkhead::daemon {

// Where runs of this home leave things.
struct Grounds {
  const store::Store& store;
  std::filesystem::path runtime_directory;
  std::filesystem::path cgroup_base{};  // empty without cgroups
};

struct Orphan {
  std::string run;  // its id; the first 8 digits when only its directory is left
  std::vector<contain::Member> processes{};
  std::filesystem::path cgroup{};     // empty: none
  std::filesystem::path directory{};  // for its sockets; empty: none
  std::filesystem::path lock{};       // that its processes hold, and that names the VM; empty: not known
  std::string keep{};                 // why it must be left alone; empty: it may be ended
};

// Looks, and changes nothing. `current`: the runs of the VMs that are served, besides those that ledgers claim.
Result<std::vector<Orphan>> survey(const Grounds& grounds, const std::set<RunId>& current);

struct Repair {
  std::string run;
  bool done = false;  // proved gone, and everything removed
  std::string why{};  // it is not
  std::vector<contain::Member> ended{};
  std::vector<contain::Member> survivors{};
  Json evidence = Json::array();   // as in a stop report
  Json artifacts = Json::array();  // as in a stop report
};

// Ends the orphan's processes, by their identity, and then does what clear() does. One that is to be kept is left
// alone.
Repair reap(const Grounds& grounds, const std::set<RunId>& current, const Orphan& orphan, Deadline deadline);

// Removes the cgroup and the directory of an orphan that is proved to have no process, and ends none.
Repair clear(const Grounds& grounds, const std::set<RunId>& current, const Orphan& orphan);

Json to_json(const Orphan& orphan);
Json to_json(const Repair& repair);

}  // namespace bulkhead::daemon
