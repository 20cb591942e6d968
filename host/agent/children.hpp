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
  // Where they live; at most one of the two.
  struct Place {
    std::string cgroup{};        // entered by every child; empty: none
    std::string init_program{};  // of the pid namespace that every child is born in; empty: none
  };
  // run_lock: the handle of the VM's lock, which every child inherits: the lock lives as long as anything of the run
  // does. Nothing in an agent that took over: those that live hold it.
  Children(RunId run, SharedLedger& ledger, os::UniqueHandle run_lock, Place place)
      : run_(std::move(run)), ledger_(ledger), run_lock_(std::move(run_lock)), place_(std::move(place)) {}

  // What an earlier agent of this run started and what of it still lives; once, before anything is started. The kernel
  // tells us neither that those exited nor how: whoever watches them calls lost().
  Result<std::vector<std::uint64_t>> adopt(const store::LedgerView& view);
  const os::Process& process(std::uint64_t child) const;
  void lost(std::uint64_t child);
  // How the driver knows the leader that runs; 0: none.
  std::uint64_t leader() const;

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
  Result<os::Process> start(os::Spawn spawn, store::Role role);
  Result<void> make_namespace();
  const Child* running_leader() const;

  RunId run_;
  SharedLedger& ledger_;
  os::UniqueHandle run_lock_;
  Place place_;
  std::optional<os::Process> init_;
  std::optional<os::PidNamespace> namespace_;
  mutable std::mutex mutex_;
  std::condition_variable exited_;
  std::map<std::uint64_t, Child> children_;
  std::uint64_t last_id_ = 0;
  bool sealed_ = false;
};

}  // namespace bulkhead::agent
