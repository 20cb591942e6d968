#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "cli/link.hpp"
#include "cli/output.hpp"

// Asks the daemon for something that takes its time, for one or many VMs at once, and waits for it.
namespace bulkhead::cli {

struct Order {
  std::string kind;              // "start", "stop", "restart", "remove"
  std::vector<std::string> vms;  // names that were checked
  Json body = Json::object();
  std::map<std::string, std::string> query{};
  std::optional<Deadline> until{};  // waits no longer; what was asked for goes on
};

// How it ended for one VM.
using Ended = std::function<void(const std::string& vm, const Result<Json>& result)>;

enum class Waited { for_all, interrupted };

// Calls `ended` for each VM, in the order in which they end. timed_out: it goes on. interrupted: Ctrl-C; the user was
// told that it goes on, and nothing is said of the others. A stop that is interrupted twice becomes a forced one.
Waited carry_out(const Link& link, const Common& common, const Order& order, const Ended& ended);

}  // namespace bulkhead::cli
