#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace bulkhead::cli {

// Are the VMs where they are waited for? Fed with what the daemon says of them. Pure.
class Watch {
 public:
  // `goal`: running, stopped or removed.
  Watch(std::vector<std::string> vms, std::string goal);

  // As a list of VMs shows them: those that are not in it are not there.
  void see_list(const Json& vms);
  void see_event(const Json& event);

  bool over() const { return open_.empty(); }
  // What became of each that is done with: nothing, or why it will not get there.
  const std::map<std::string, std::optional<Error>>& ends() const { return ends_; }
  const std::set<std::string>& open() const { return open_; }

 private:
  void see(const std::string& vm, const std::string& state, const std::string& why);
  void gone(const std::string& vm);
  void end(const std::string& vm, std::optional<Error> error);
  Error astray(const std::string& vm, const std::string& how) const;

  std::string goal_;
  std::set<std::string> open_;
  std::map<std::string, std::optional<Error>> ends_;
};

}  // namespace bulkhead::cli
