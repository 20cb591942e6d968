#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

// A pid namespace (Linux, pid_namespaces(7)). When its first process, its init, dies, the kernel kills all others in
// it, and lets the end of init be seen only when the last of them is gone. What is in it cannot leave it. A user who
// may not make one makes it inside a user namespace of his own, in which only he and his group exist: programs that are
// set-uid or set-gid to others then run without it.
class PidNamespace {
 public:
  // Of a living process, for children to be born in. denied: the namespace is not this user's.
  static Result<PidNamespace> of(std::int64_t pid);
  // Whether this user can make one here, found out by trying: the error says what forbids it.
  static Result<void> probe();
  // The number that tells it from others while it lives. Nothing: the process has ended or belongs to another user.
  static std::optional<std::uint64_t> id_of(std::int64_t pid);
  // Of this process, also where /proc shows the pids of another namespace.
  static std::optional<std::uint64_t> own_id();
  // The first process of one that is not ours.
  static bool is_init(std::int64_t pid);
  // Whether the process is in that namespace or in one that was made in it.
  static bool holds(std::uint64_t id, std::int64_t pid);

  // True: this init is dead but for the waiting: nobody can be born in its namespace any more, all in it are killed,
  // and it waits for their ends, those of zombies whose parents have not looked too. False also when it cannot be told.
  static bool closing(std::int64_t init);

  RawHandle handle() const { return pid_.get(); }
  RawHandle user_handle() const { return user_.get(); }  // no_handle: not inside a user namespace of its own

 private:
  PidNamespace(UniqueHandle pid, UniqueHandle user) : pid_(std::move(pid)), user_(std::move(user)) {}
  UniqueHandle pid_;
  UniqueHandle user_;
};

}  // namespace bulkhead::os
