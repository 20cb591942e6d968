#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/async.hpp"
#include "base/deadline.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"
#include "os/pid_namespace.hpp"

namespace bulkhead::os {

// Which process, in a form that can be written down. A pid alone is not an identity: it is recycled.
// start_time: in the kernel's own unit (Linux: clock ticks since boot, /proc/PID/stat field 22).
// serial: a number that the kernel gives to no other process in this boot (Linux 6.9: the process's inode in pidfs);
// 0 where it offers none, or where it was not asked for: then two processes with one pid in one tick look the same.
struct Identity {
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;
  std::string boot_id;
  std::uint64_t serial = 0;
  bool operator==(const Identity& other) const {
    const bool same_serial = serial == other.serial || serial == 0 || other.serial == 0;
    return pid == other.pid && start_time == other.start_time && boot_id == other.boot_id && same_serial;
  }
};

enum class Signal : int { hang_up = 1, interrupt = 2, kill = 9, terminate = 15, resume = 18, stop = 19 };

// A process by handle. The handle keeps meaning this process also after its pid is used again.
class Process {
 public:
  // gone: proved absent (no such process, another start time, another boot). invalid: not a pid that may ever be
  // signalled.
  static Result<Process> open(const Identity& identity);
  // The process that has this pid now; for processes that were just seen in the process table. denied: it is there, and
  // hidden from this user.
  static Result<Process> open_pid(std::int64_t pid);
  static Result<Identity> self();

  const Identity& identity() const { return identity_; }
  // The same for a process that may have exited, while its parent has not looked: what holds a pid holds it until then.
  static bool holds_pid(const Identity& identity);

  // True for a zombie too: all its threads have ended, only its parent has not looked.
  bool exited() const;
  // True: exited before the deadline. Blocks this thread.
  bool wait(Deadline deadline) const;
  // gone: it has exited. By handle, so it can never hit another process.
  Result<void> signal(Signal signal) const;
  // Returns when the process has exited, without blocking the thread.
  Task<Result<void>> exit(asio::any_io_executor executor) const;

 private:
  Process(UniqueHandle handle, Identity identity) : handle_(std::move(handle)), identity_(std::move(identity)) {}
  static Result<Process> open_hidden(const Identity& identity);
  UniqueHandle handle_;
  Identity identity_;
};

// This boot of the machine; identities of another boot are dead.
Result<std::string> boot_id();

// Where a standard stream of a child goes.
struct Output {
  enum class To { null, file, handle };
  To to = To::null;
  std::string path{};            // file: appended to
  RawHandle handle = no_handle;  // handle: borrowed for the call
};

struct Spawn {
  std::vector<std::string> argv{};  // argv[0]: a path, or a name that is looked up in PATH
  std::map<std::string, std::string> env{};
  std::string cwd = "/";
  Output out{};
  Output err{};
  std::vector<RawHandle> inherit{};  // the same numbers in the child; every other handle is closed
  RawHandle cgroup = no_handle;      // Linux: of a cgroup.procs, open for writing; entered before the program begins
  bool new_pid_namespace = false;    // Linux: the child is the init of its own
  const PidNamespace* pid_namespace = nullptr;  // Linux: the child is born in this one
  enum class Place { own_session, own_group, group_of };
  Place place = Place::own_group;
  std::int64_t group = 0;  // group_of: the group to join
};

// Starts a child. `before_exec` is called with the child's identity while the child is held before its first
// instruction: what it writes down is true before the program can do anything. When it fails, the child ends without
// having run, and its error is returned. not_found: no such program. The caller reaps (see reap_exited).
using BeforeExec = std::function<Result<void>(const Identity&)>;
Result<Process> spawn(const Spawn& spec, const BeforeExec& before_exec);

struct Reaped {
  std::int64_t pid = 0;
  int code = -1;   // exit code, -1 when ended by a signal
  int signal = 0;  // 0 when none
};
// Reaps every child of this process that has exited, own and adopted. Never blocks.
std::vector<Reaped> reap_exited();

enum class Children { none, some };
// The kernel's word on whether this process has any child left, exited or not.
Children children();

// Orphaned descendants become children of this process instead of init's.
Result<void> become_subreaper();

// As many open files as this user may have: a daemon needs a few for each VM.
void raise_file_limit();

// What this process and its libraries print goes to `file` from now on, also when its owner closes it.
void print_into(std::FILE* file);

// The full path of a program, or not_found with the places that were searched.
Result<std::string> find_program(const std::string& name);

}  // namespace bulkhead::os
