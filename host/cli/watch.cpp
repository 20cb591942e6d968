#include "cli/watch.hpp"

#include <utility>

#include "cli/print.hpp"

namespace bulkhead::cli {

Watch::Watch(std::vector<std::string> vms, std::string goal) : goal_(std::move(goal)), open_(vms.begin(), vms.end()) {}

void Watch::see_list(const Json& vms) {
  std::set<std::string> missing = open_;
  for (const Json& vm : list_at(vms, "vms")) {
    missing.erase(string_or(vm, "name"));
    const Json restarts = object_at(vm, "restarts").value_or(Json::object());
    const bool comes_back = goal_ == "running" && restarts.contains("next_at");
    if (!comes_back) see(string_or(vm, "name"), string_or(vm, "state"), string_or(vm, "why"));
  }
  for (const std::string& vm : missing) gone(vm);
}

void Watch::see_event(const Json& event) {
  const std::string vm = string_or(event, "vm");
  const std::string kind = string_or(event, "kind");
  const Json detail = object_at(event, "detail").value_or(Json::object());
  if (kind == "vm.removed") gone(vm);
  if (kind != "vm.state") return;
  const std::string to = string_or(detail, "to");
  // Whether it is restarted after a failure is told by the list, not by this event.
  if (goal_ == "running" && to == "failed") return;
  see(vm, to, string_or(detail, "why"));
}

void Watch::see(const std::string& vm, const std::string& state, const std::string& why) {
  if (!open_.contains(vm)) return;
  if (state == goal_) {
    end(vm, std::nullopt);
    return;
  }
  const bool broken = state == "failed" || state == "stuck" || state == "lost";
  // Whoever waits until it is removed may be the one who clears it up.
  if (broken && goal_ != "removed") end(vm, astray(vm, "it is " + state + (why.empty() ? "" : ": " + why)));
}

void Watch::gone(const std::string& vm) {
  if (!open_.contains(vm)) return;
  if (goal_ == "removed") {
    end(vm, std::nullopt);
  } else {
    Error error = astray(vm, "there is no such VM");
    error.code = Code::not_found;
    end(vm, std::move(error));
  }
}

void Watch::end(const std::string& vm, std::optional<Error> error) {
  open_.erase(vm);
  ends_[vm] = std::move(error);
}

Error Watch::astray(const std::string& vm, const std::string& how) const {
  return {.code = Code::unavailable,
          .what = "wait until '" + vm + "' is " + goal_ + ": " + how,
          .hint = "see: bulkhead info " + vm};
}

}  // namespace bulkhead::cli
