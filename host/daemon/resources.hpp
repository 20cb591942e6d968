#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "api/message.hpp"
#include "base/schema.hpp"
#include "daemon/daemon.hpp"
#include "daemon/idempotency.hpp"
#include "daemon/operations.hpp"

namespace bulkhead::daemon {

// The API as openapi.json has it: finds the resource of a request, checks its body by the document, and has the daemon
// do it.
class Resources {
 public:
  Resources(Daemon& daemon, const Surroundings& surroundings);

  Task<api::Response> handle(api::Request request);
  std::size_t operations_running() const { return operations_.running(); }

  // All methods and paths; those of openapi.json, as a test shows.
  static std::vector<std::pair<std::string, std::string>> all();
  static const Json& document();

 private:
  struct Call {
    api::Request request;
    std::string parameter;  // what stands for {name} or {id}
  };
  using Answer = Result<api::Response>;
  struct Route {
    const char* method;
    const char* path;
    Task<Answer> (Resources::*perform)(Call call);
  };
  static const std::vector<Route>& routes();

  Task<Answer> dispatch(api::Request request);
  Result<void> check_body(const Route& route, const api::Request& request) const;

  Task<Answer> get_openapi(Call call);
  Task<Answer> get_host(Call call);
  Task<Answer> stop_host(Call call);
  Task<Answer> reload_host(Call call);
  Task<Answer> repair_host(Call call);
  Task<Answer> list_drivers(Call call);
  Task<Answer> list_vms(Call call);
  Task<Answer> check_spec(Call call);
  Task<Answer> create_vm(Call call);
  Task<Answer> get_vm(Call call);
  Task<Answer> change_vm(Call call);
  Task<Answer> remove_vm(Call call);
  Task<Answer> start_vm(Call call);
  Task<Answer> stop_vm(Call call);
  Task<Answer> restart_vm(Call call);
  Task<Answer> plan_stop(Call call);
  Task<Answer> list_operations(Call call);
  Task<Answer> get_operation(Call call);
  Task<Answer> list_events(Call call);

  Task<Answer> operate(Call call, std::string kind, std::shared_ptr<Vm> vm, Task<Result<Json>> work);
  Task<void> wait_within_limit(std::shared_ptr<Operation> operation, milliseconds wait);
  Task<Answer> answer(std::shared_ptr<Operation> operation, api::Request request);

  Daemon& daemon_;
  const Surroundings& surroundings_;
  Operations operations_;
  std::size_t waiting_ = 0;  // requests that wait for the end of an operation
  Idempotency idempotency_;
  std::map<std::string, Schema> bodies_;  // by "METHOD path"
};

}  // namespace bulkhead::daemon
