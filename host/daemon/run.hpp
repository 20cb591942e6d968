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
#include "stop/climber.hpp"
#include "store/ledger.hpp"

namespace bulkhead::daemon {

// One run of a VM as the daemon sees it: its ledger, its agent, and the work of each rung of the stop ladder.
class Run final : public stop::Target, public std::enable_shared_from_this<Run> {
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
  // True: the agent that the ledger names answers, for this run.
  Task<bool> agent_answers();
  bool agent_alive() const { return agent_ && !agent_->exited(); }
  std::optional<os::Identity> agent_identity() const;
  // Return when the agent, or the VM's leader, has exited.
  Task<void> agent_exit();
  Task<void> leader_exit();

  // A request to the agent. unavailable: it is dead or went away.
  Task<Result<Json>> call(std::string path, Json body, Deadline deadline);
  // Events after that number; waits for one as long.
  Task<Result<Json>> events(std::uint64_t after, milliseconds wait);

  Task<stop::Seen> perform(stop::Rung rung, Deadline until) override;

  const RunId& id() const { return beginning_.run; }
  // How this run is contained.
  std::string_view mechanism() const { return beginning_.cgroup.empty() ? "process group + subreaper" : "cgroup v2"; }
  const Json& manifest() const { return beginning_.manifest; }
  const catalogue::KillSemantics& kill() const { return kill_; }
  // As the ledger reads now; the error when it cannot be read.
  Result<store::LedgerView> ledger() const;
  // Who of the run is alive, by the kernel's word and the ledger.
  Task<Result<std::vector<contain::Member>>> members();

  // For the report, in the order of what happened.
  struct Notes {
    Json processes = Json::array();
    Json artifacts = Json::array();
    Json evidence = Json::array();
    std::vector<contain::Member> survivors{};
    std::string doubt{};  // why the last proof failed
  };
  // Gathers what the ledger says of the processes' ends, too.
  Notes notes() const;
  void forget_notes() { notes_ = Notes{}; }

 private:
  Run(const Surroundings& surroundings, store::VmPaths paths, store::Beginning beginning,
      catalogue::KillSemantics kill);
  Task<stop::Seen> ask(Deadline until);
  Task<stop::Seen> force(Deadline until);
  Task<stop::Seen> kill_all(Deadline until);
  Task<stop::Seen> prove(Deadline until);
  Task<stop::Seen> clean(Deadline until);
  Task<bool> prove_once(Deadline until);
  Task<bool> stays_quiet();
  Task<void> dismiss_agent(Deadline until);
  Task<bool> agent_exited_by(Deadline until);
  // An error: some are left, or their end cannot be written down.
  Result<void> remove_artifacts();
  Error agent_death() const;
  void note_ended(const std::vector<contain::Member>& members);
  contain::Known known() const;
  std::filesystem::path socket() const;

  const Surroundings& surroundings_;
  store::VmPaths paths_;
  store::Beginning beginning_;
  catalogue::KillSemantics kill_;
  std::optional<os::FileLock> lock_;     // until the agent has it
  std::optional<store::Ledger> ledger_;  // while no agent writes it
  std::optional<os::Process> agent_;
  Notes notes_;
  std::vector<contain::Member> strays_;  // ended by a sweep, and not in the ledger
};

}  // namespace bulkhead::daemon
