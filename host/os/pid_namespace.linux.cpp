#include "os/pid_namespace.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.hpp"
#include "os/last_error.hpp"
#include "os/process.hpp"
#include "os/process_table.hpp"

namespace bulkhead::os {

namespace {

std::string namespace_file(std::int64_t pid, const char* kind) {
  return "/proc/" + std::to_string(pid) + "/ns/" + kind;
}

std::optional<std::uint64_t> inode_of(const std::string& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return info.st_ino;
}

Result<UniqueHandle> open_namespace(const std::string& file) {
  UniqueHandle handle(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!handle) return last_error("open '" + file + "'");
  return handle;
}

}  // namespace

std::optional<std::uint64_t> PidNamespace::id_of(std::int64_t pid) { return inode_of(namespace_file(pid, "pid")); }

std::optional<std::uint64_t> PidNamespace::own_id() { return inode_of("/proc/self/ns/pid"); }

bool PidNamespace::holds(std::uint64_t id, std::int64_t pid) {
  const auto theirs = id_of(pid);
  if (!theirs || theirs == id || theirs == own_id()) return theirs == id;
  UniqueHandle at(::open(namespace_file(pid, "pid").c_str(), O_RDONLY | O_CLOEXEC));
  while (at) {
    struct stat info{};
    if (::fstat(static_cast<int>(at.get()), &info) != 0) return false;
    if (info.st_ino == id) return true;
    at = UniqueHandle(::ioctl(static_cast<int>(at.get()), NS_GET_PARENT));  // fails at our own
  }
  return false;
}

// proc(5), status: "NSpid: 4711 1", its pid here, and then in each namespace further in.
bool PidNamespace::is_init(std::int64_t pid) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/status");
  if (!status) return false;
  const auto at = status->find("\nNSpid:");
  if (at == std::string::npos) return false;
  const std::string line = status->substr(at + 1, status->find('\n', at + 1) - at - 1);
  return line.ends_with("\t1") && std::ranges::count(line, '\t') > 1;
}

// It sleeps there only after it has closed its files, shut the namespace for births and killed everybody in it.
bool PidNamespace::closing(std::int64_t init) { return waits_for(init).starts_with("zap_pid_ns_processes"); }

Result<PidNamespace> PidNamespace::of(std::int64_t pid) {
  TRY(UniqueHandle pid_handle, open_namespace(namespace_file(pid, "pid")));
  UniqueHandle user_handle;
  const auto theirs = inode_of(namespace_file(pid, "user"));
  if (theirs && theirs != inode_of(namespace_file(::getpid(), "user"))) {
    TRY(user_handle, open_namespace(namespace_file(pid, "user")));
  }
  return PidNamespace(std::move(pid_handle), std::move(user_handle));
}

Result<void> PidNamespace::probe() {
  Spawn spawn;
  spawn.argv = {"/proc/self/exe"};  // never run: what is wanted is known before
  spawn.new_pid_namespace = true;
  bool born = false;
  auto process = os::spawn(spawn, [&born](const Identity&) -> Result<void> {
    born = true;
    return fail(Code::cancelled, "only a trial");
  });
  if (born) return {};
  return std::unexpected(process.error());
}

}  // namespace bulkhead::os
