#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/run.hpp"
#include "stop/climber.hpp"

namespace bulkhead::daemon {

// One stop of a run: the work of each rung of the ladder, and what is to be told of it.
class RunStop final : public stop::Target, public std::enable_shared_from_this<RunStop> {
 public:
  RunStop(const Surroundings& surroundings, std::shared_ptr<Run> run)
      : surroundings_(surroundings), run_(std::move(run)) {}

  Task<stop::Seen> perform(stop::Rung rung, Deadline until) override;

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

 private:
  Task<stop::Seen> ask(Deadline until);
  Task<stop::Seen> force(Deadline until);
  Task<stop::Seen> kill_all(Deadline until);
  Task<stop::Seen> prove(Deadline until);
  Task<stop::Seen> clean(Deadline until);
  Task<bool> prove_once(Deadline until);
  Task<bool> stays_quiet();
  void end_init(const os::Identity& init);
  Task<bool> proved_by_quiet();
  bool proved_by_lock();
  Task<void> dismiss_agent(Deadline until);
  // An error: some are left, or their end cannot be written down.
  Result<void> remove_artifacts();
  void note_ended(const std::vector<contain::Member>& members);

  const Surroundings& surroundings_;
  std::shared_ptr<Run> run_;
  Notes notes_;
  std::vector<contain::Member> strays_;  // ended by a sweep, and not in the ledger
};

}  // namespace bulkhead::daemon
