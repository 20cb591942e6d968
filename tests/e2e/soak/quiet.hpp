#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "e2e/host_under_test.hpp"
#include "e2e/soak/census.hpp"

namespace bulkhead::e2e::soak {

// The truth when nothing goes on.
class Quiet {
 public:
  // One VM, as `list` and /proc agree that it is.
  struct Seen {
    std::string state;
    std::int64_t qemu = 0;
    std::uint64_t qemu_began = 0;
    std::string boot;  // as its guest says when it is asked; "" when that one does not listen
  };
  using Picture = std::map<std::string, Seen>;

  explicit Quiet(const HostUnderTest& host) : host_(host) {}
  // Waits until all states are settled and all that can be seen from outside fits what `list` says, and requires that.
  Picture settled();
  // The socket of a run's console.
  std::optional<std::filesystem::path> console_of(const std::string& run) const;

 private:
  void compare(const Json& list, const Census& census);
  void compare_running(const std::string& name, const Life& life);
  void compare_places(const Json& list, const Census& census);
  std::vector<std::filesystem::path> places_of_runs() const;
  std::string disk_of(const std::string& name) const;
  std::string boot_of(const std::string& name, const std::string& run) const;
  void wrong(const std::string& text) { problems_.push_back(text); }

  const HostUnderTest& host_;
  std::vector<std::string> problems_;
  std::set<std::string> runs_;  // all that ever were seen
};

}  // namespace bulkhead::e2e::soak
