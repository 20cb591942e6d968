#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/run.hpp"

namespace bulkhead::support {

// Two innocent processes, a parent and its child, in a group of their own. The parent has a pid of choice: one that
// somebody else had before. Every signal that reaches them ends them. They are ended and reaped with this object.
class Canary {
 public:
  // `program`: test_child. `mark`: for the census; what they say goes to a file of this name.
  Canary(std::int64_t pid, const std::string& program, const std::filesystem::path& mark);
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;
  ~Canary();
  std::int64_t pid() const { return pid_; }
  bool lives() const;

 private:
  std::int64_t pid_;
  std::string mark_;
};

// A pid namespace in which pids can be chosen, and in which a kill that goes astray hits nobody else: the test of a
// host that is broken would otherwise end everybody.
class Cage {
 public:
  // True: this program runs in one, and nothing outside can be seen.
  static bool inside();
  // "": the case that runs now can be run in one; else why not.
  static std::string obstacle();
  // Runs it there: what it said.
  static Finished run_this_case();
};

}  // namespace bulkhead::support
