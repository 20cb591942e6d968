#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/message.hpp"
#include "daemon/surroundings.hpp"
#include "daemon/vm.hpp"

namespace bulkhead::daemon {

// The VMs of one home, and what clients may ask of them (docs/api.md).
class Daemon {
 public:
  explicit Daemon(const Surroundings& surroundings);
  // Reads the store; begins to adopt or finish what earlier runs left. Before the first request.
  Task<void> open();
  Task<api::Response> handle(api::Request request);
  // Waits until a client or a signal has asked for the end and, unless VMs are to be kept, all are stopped.
  Task<void> wait_for_end();
  enum class Vms { stop, keep };
  void ask_for_end(Vms vms);

 private:
  Task<Result<Json>> dispatch(api::Request request);
  Task<Result<Json>> dispatch_vm(std::string method, std::string name, std::string verb, api::Request request);
  Result<Json> create(const Json& body);
  Task<Result<Json>> start(std::shared_ptr<Vm> vm, Json body);
  Task<Result<Json>> stop(std::shared_ptr<Vm> vm, Json body);
  Task<Result<Json>> remove(std::shared_ptr<Vm> vm, Flag force);
  Task<Result<Json>> stop_host(Json body);
  Task<std::size_t> stop_all(Deadline deadline);
  Result<std::shared_ptr<Vm>> find(const std::string& name) const;
  Result<void> check_disks(const Vm& vm) const;
  Json list() const;
  Json drivers() const;
  Json describe() const;

  const Surroundings& surroundings_;
  std::map<VmName, std::shared_ptr<Vm>> vms_;
  std::map<VmName, std::string> unreadable_;  // VMs whose record cannot be read: shown, never guessed at
  std::string started_at_;
  bool ending_ = false;
  bool ended_ = false;
  Event end_;
};

}  // namespace bulkhead::daemon
