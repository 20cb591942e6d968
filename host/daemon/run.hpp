#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "contain/containment.hpp"
#include "daemon/surroundings.hpp"
#include "os/lock.hpp"
#include "os/process.hpp"
#include "store/ledger.hpp"

namespace bulkhead::daemon {

// One run of a VM as the daemon sees it: its ledger and its agent. How it is ended: run_stop.hpp.
class Run {
 public:
  // Takes the VM's lock and begins a ledger: from here on everything that exists is written down, and a stop ends it.
  // busy: something of an earlier run still holds the lock.
  static Result<std::shared_ptr<Run>> begin(const Surroundings& surroundings, const store::VmSpec& spec,
                                            const catalogue::Driver& driver);
  // A run that an earlier daemon began. unknown: its ledger names places that are not this run's.
  static Result<std::shared_ptr<Run>> resume(const Surroundings& surroundings, const VmName& name,
                                             store::LedgerView view);

  // Starts the agent, which takes over the lock and the ledger.
  Result<void> start_agent();
  // A new agent for a VM whose agent is dead: it goes on with the ledger, and takes over what lives. The driver's
  // reply.
  Task<Result<Json>> replace_agent(Deadline deadline);
  // True: the agent that the ledger names answers, for this run.
  // One whose daemon died before it had taken over the VM does so now.
  Task<bool> agent_answers();
  // Why it does not; "" when it does.
  const std::string& agent_trouble() const { return agent_trouble_; }
  // "" until it has answered.
  const std::string& agent_version() const { return agent_version_; }
  bool agent_alive() const { return agent_ && !agent_->exited(); }
  std::optional<os::Identity> agent_identity() const;
  // Return when the agent, or the VM's leader, has exited.
  Task<void> agent_exit();
  Task<void> leader_exit();

  // A request to the agent. unavailable: it is dead or went away.
  Task<Result<Json>> call(std::string path, Json body, Deadline deadline);
  // Events after that number; waits for one as long.
  Task<Result<Json>> events(std::uint64_t after, milliseconds wait);

  // SIGKILL to the agent alone, by its identity. It must have been started.
  Result<void> kill_agent();
  Task<bool> agent_exited_by(Deadline until);
  // The kernel's word on the run's lock, which whatever was started has inherited: held means that somebody lives, here
  // or in another pid namespace. Meaningless while the agent lives that began the run: it holds it too.
  enum class Lock { free, held };
  Result<Lock> lock_state() const;
  // The VM's lock and ledger: the run is over.
  void release();

  const RunId& id() const { return beginning_.run; }
  const store::Beginning& beginning() const { return beginning_; }
  const store::VmPaths& paths() const { return paths_; }
  const Json& manifest() const { return beginning_.manifest; }
  const catalogue::KillSemantics& kill() const { return kill_; }
  // As the ledger reads now; the error when it cannot be read.
  Result<store::LedgerView> ledger() const;
  contain::Known known() const;
  // Who of the run is alive, by the kernel's word and the ledger.
  Task<Result<std::vector<contain::Member>>> members();

 private:
  Run(const Surroundings& surroundings, store::VmPaths paths, store::Beginning beginning,
      catalogue::KillSemantics kill);
  Result<void> launch_agent();
  // incompatible: it speaks a protocol that this daemon does not.
  Task<Result<Json>> greet_agent(Deadline limit);
  Task<Result<void>> greet_once(Deadline limit);
  Error agent_death() const;
  std::filesystem::path socket() const;

  const Surroundings& surroundings_;
  store::VmPaths paths_;
  store::Beginning beginning_;
  catalogue::KillSemantics kill_;
  std::optional<os::FileLock> lock_;     // until the agent has it
  std::optional<store::Ledger> ledger_;  // while no agent writes it
  std::optional<os::Process> agent_;
  bool greeted_ = false;  // it speaks a protocol that we do
  std::string agent_version_;
  std::string agent_trouble_;
};

}  // namespace bulkhead::daemon
