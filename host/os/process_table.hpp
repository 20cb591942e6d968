#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "os/process.hpp"

namespace bulkhead::os {

struct ProcessInfo {
  Identity identity;
  std::int64_t parent = 0;
  std::int64_t group = 0;
  std::int64_t session = 0;
  std::string name;  // the kernel's short name
  char state = '?';  // as in ps: R S D T Z ...; Z is only dead when no thread is left (Process::exited knows)
};

// gone or not_found: there is no such process.
Result<ProcessInfo> process_info(std::int64_t pid);

// Every process that can be seen; an error when one could not be looked at (nobody seen is not nobody there). Not
// atomic: what forks while it is taken can be missed.
Result<std::vector<ProcessInfo>> process_table();

// The children of this process, as the kernel lists them; one may have ended since.
std::vector<std::int64_t> own_children();

// The kernel function that a process sleeps in ("futex_wait", "pipe_read"); "" when it runs or may not be known.
std::string waits_for(std::int64_t pid);

// The value of `key` in the environment that the process was started with; nothing when it has none, has ended, or
// belongs to another user.
Result<std::optional<std::string>> environment_value(std::int64_t pid, const std::string& key);

// True: the process finds at this path what we find there. False also when it may not be asked.
bool sees_the_same(std::int64_t pid, const std::filesystem::path& path);

}  // namespace bulkhead::os
