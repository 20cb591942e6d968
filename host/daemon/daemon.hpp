#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "daemon/surroundings.hpp"
#include "daemon/vm.hpp"

namespace bulkhead::daemon {

// The VMs of one home, and the life of the daemon itself.
class Daemon {
 public:
  explicit Daemon(const Surroundings& surroundings);
  // Reads the store; begins to adopt or finish what earlier runs left. Before the first request.
  Task<void> open();
  // Finds what no VM claims; what of it has no process is removed, the rest is for repair() to end.
  Task<void> look_for_orphans();
  // Ends and removes what no VM claims; with dry_run it is only looked for. {dry_run, found, left}.
  Task<Result<Json>> repair(Flag dry_run);
  // Starts what is wanted to run and does not.
  void start_wanted();
  // True: somebody needs this daemon, apart from requests that are being answered.
  bool busy() const;

  Json list() const;
  Json drivers() const;
  Json describe() const;
  // not_found: there is none of that name. invalid: its record cannot be read.
  Result<std::shared_ptr<Vm>> find(const std::string& name) const;
  // Everything that is wrong with the document in one go, the driver's own options included.
  Result<store::VmSpec> check(const Json& document, const std::filesystem::path& folder) const;
  Result<std::shared_ptr<Vm>> create(store::VmSpec spec);
  Task<Result<Json>> remove(std::shared_ptr<Vm> vm, Flag force, Flag keep_logs);

  enum class Vms { stop, keep };
  // The number of VMs that go on, or were not stopped in time. The daemon ends when it returns.
  Task<Json> stop_host(Vms vms, std::optional<milliseconds> time);
  void ask_for_end(Vms vms);
  // Returns when stop_host has.
  Task<void> wait_for_end();

 private:
  std::set<RunId> runs() const;
  Task<std::size_t> stop_all(Deadline deadline);
  Result<void> may_start(const Vm& vm) const;
  Vm::MayStart start_check() const;

  const Surroundings& surroundings_;
  std::map<VmName, std::shared_ptr<Vm>> vms_;
  std::map<VmName, std::string> unreadable_;  // VMs whose record cannot be read: shown, never guessed at
  std::string started_at_;
  std::size_t orphans_ = 0;  // at the last look
  bool ending_ = false;
  bool ended_ = false;
  Event end_;
};

}  // namespace bulkhead::daemon
