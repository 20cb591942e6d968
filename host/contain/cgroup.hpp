#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "os/handle.hpp"

// A cgroup v2 directory that holds the processes of one run (Linux; cgroups(7), kernel documentation "Control Group
// v2"). Only membership, kill and emptiness are used: no controller is needed, so a hybrid mount will do.
namespace bulkhead::contain {

class Cgroup {
 public:
  // The directory under which runs get theirs. unsupported or denied: why this machine or user has none.
  static Result<std::filesystem::path> base();

  explicit Cgroup(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }

  // The cgroup of that name that the process is in, directly or in one below it.
  static std::optional<Cgroup> around(std::int64_t pid, const std::string& name);

  // Never reused: after a kill the kernel kills whatever is cloned into it.
  Result<void> create() const;
  // Whose it is, kept in the cgroup itself (an extended attribute: Linux 5.7). Nothing: it does not say.
  Result<void> sign(const std::string& owner) const;
  std::optional<std::string> owner() const;
  // For a child to enter it before it becomes the program: it writes "0".
  Result<os::UniqueHandle> entrance() const;
  // Pids of all members, those of sub-cgroups too. A directory that is gone has none.
  Result<std::vector<std::int64_t>> pids() const;
  enum class Occupancy { empty, populated };
  // The kernel's word; a zombie does not count, a process whose main thread has ended does.
  Result<Occupancy> occupancy() const;
  // SIGKILL to every member at once, also to those that are being forked. It misses a process whose main thread has
  // ended (Linux 6.18): the caller kills what pids() still lists.
  Result<void> kill() const;
  // Removes the directory and those that members made in it. busy: somebody is in it.
  Result<void> remove() const;

 private:
  std::filesystem::path path_;
};

}  // namespace bulkhead::contain
