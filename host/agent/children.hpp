#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/shared_ledger.hpp"
#include "base/deadline.hpp"
#include "base/json.hpp"
#include "contain/containment.hpp"
#include "driver/services.hpp"
#include "os/process.hpp"

namespace bulkhead::agent {

// The processes that the driver asked for. Each is born in the run's process group, with the run's mark in its
// environment, and is in the ledger before its first instruction. Any thread.
class Children {
 public:
  // run_lock: the handle of the VM's lock, which every child inherits: the lock lives as long as anything of the run
  // does. cgroup: the run's, entered by every child; empty: none.
  Children(RunId run, SharedLedger& ledger, os::UniqueHandle run_lock, std::string cgroup)
      : run_(std::move(run)), ledger_(ledger), run_lock_(std::move(run_lock)), cgroup_(std::move(cgroup)) {}

  // spec: see bulkhead_host.spawn. cancelled: sealed. busy: there is a leader already.
  Result<std::uint64_t> spawn(const Json& spec);
  // timed_out: it runs.
  Result<driver::Services::Exit> wait(std::uint64_t child, milliseconds limit);
  Result<void> signal(std::uint64_t child, int number);

  // From now on nothing is started: the VM is being stopped.
  void seal();

  struct Exited {
    store::Role role;
    os::Identity identity;
    int code;
    int signal;
  };
  // Reaps what has exited, strays included; returns what spawn had started. Call at each SIGCHLD.
  std::vector<Exited> reap();

  bool leader_alive() const;
  // For containment: what the ledger knows, and this process as the guardian.
  contain::Known known() const;

 private:
  struct Child {
    store::Role role;
    os::Process process;
    std::optional<driver::Services::Exit> exit;
  };
  Result<os::Spawn> prepare(const Json& spec, store::Role role) const;
  const Child* running_leader() const;

  RunId run_;
  SharedLedger& ledger_;
  os::UniqueHandle run_lock_;
  std::string cgroup_;
  mutable std::mutex mutex_;
  std::condition_variable exited_;
  std::map<std::uint64_t, Child> children_;
  std::uint64_t last_id_ = 0;
  bool sealed_ = false;
};

}  // namespace bulkhead::agent
