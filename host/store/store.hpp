#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/spec.hpp"

namespace bulkhead::store {

struct VmRecord {
  VmSpec spec;
  std::string created_at;  // RFC 3339, UTC
};

// What the VM is wanted to be, whatever it is; kept over restarts of the daemon.
struct Desired {
  enum class State { stopped, running };
  State state = State::stopped;
  int restarts = 0;                // in a row, by the restart policy
  bool restart_due = false;        // it ended by itself, and is to be started again
  std::string autostarted_boot{};  // the boot of the machine in which it was autostarted
};

// Where the files of one VM are.
struct VmPaths {
  std::filesystem::path directory;
  std::filesystem::path record;     // vm.json
  std::filesystem::path ledger;     // ledger.jsonl
  std::filesystem::path run_lock;   // run.lock: held by the run itself
  std::filesystem::path last_stop;  // last-stop.json
  std::filesystem::path desired;    // desired.json
  std::filesystem::path agent_log;
  std::filesystem::path driver_directory;  // the driver's own
};

// The home directory: host.json, host.lock, vms/NAME/. One process (the daemon, by its lock) writes; the agent of a run
// writes only that run's ledger, logs and driver directory.
class Store {
 public:
  // Creates or checks the directories; denied when somebody else could have written to them.
  static Result<Store> open(const std::filesystem::path& home);

  // The same for an agent: checks, and creates nothing.
  static Result<Store> attach(const std::filesystem::path& home);

  // Removes what a crash left of VMs half created or half removed. Only for the one process that writes.
  Result<void> sweep() const;

  const std::filesystem::path& home() const { return home_; }
  // What tells this home's runs from another's: a random number and the home's path. A home that was copied or moved
  // gets a new one. Only for the one process that writes; changes nothing when there is one.
  Result<std::string> mark() const;
  VmPaths paths(const VmName& name) const;

  // Names of all VMs. A folder whose name is not a VM's is not ours, and is left out.
  Result<std::vector<VmName>> list() const;
  Result<VmRecord> load(const VmName& name) const;
  // exists: there is a VM of that name. The VM is there whole, or not at all.
  Result<void> create(const VmRecord& record) const;
  // Replaces the record of a VM that is there.
  Result<void> change(const VmRecord& record) const;
  // A VM of which nothing is written is wanted stopped.
  Result<Desired> load_desired(const VmName& name) const;
  Result<void> save_desired(const VmName& name, const Desired& desired) const;
  // The caller has proved that nothing of the VM lives. On an error it may be gone all the same, and only some of its
  // files be left, for sweep().
  Result<void> remove(const VmName& name) const;
  // Moves the logs of a VM that is about to be removed to a folder of their own below `logs`: that folder.
  Result<std::filesystem::path> keep_logs(const VmName& name, const std::string& stamp) const;

 private:
  explicit Store(std::filesystem::path home) : home_(std::move(home)) {}
  std::filesystem::path home_;
};

}  // namespace bulkhead::store
