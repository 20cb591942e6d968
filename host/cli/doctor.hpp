#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "cli/table.hpp"

// Is everything in order? Pure: of what was asked from the daemon, and read.
namespace bulkhead::cli {

struct Symptoms {
  std::optional<Error> daemon{};  // why it does not answer
  std::optional<Error> config{};  // what is wrong with host.json
  Json host = Json::object();
  Json drivers = Json::object();
  Json vms = Json::object();
};

struct Finding {
  enum class Kind { good, note, broken };
  Kind kind = Kind::good;
  std::string subject;
  std::string says;
  std::string hint{};  // one thing to try
};

std::vector<Finding> diagnose(const Symptoms& symptoms);
bool healthy(const std::vector<Finding>& findings);
std::string render_findings(const std::vector<Finding>& findings, Style style);
Json to_json(const std::vector<Finding>& findings);

}  // namespace bulkhead::cli
