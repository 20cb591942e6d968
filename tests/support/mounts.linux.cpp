#include "support/mounts.hpp"

#include <cerrno>
#include <cstring>
#include <sched.h>
#include <stdexcept>
#include <sys/mount.h>
#include <unistd.h>

#include "support/text_file.hpp"

namespace bulkhead::support {

namespace {

void check(int result, const std::string& what) {
  if (result != 0) throw std::runtime_error(what + ": " + std::strerror(errno));
}

// A user who is not root may mount in a user namespace, in which it stays who it is.
bool leave() {
  if (::unshare(CLONE_NEWNS) == 0) return true;
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", user + " " + user + " 1");
  write_text("/proc/self/gid_map", group + " " + group + " 1");
  return true;
}

std::string make_private() {
  if (leave() && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return {};
  return std::string("this user may not mount: ") + std::strerror(errno);
}

}  // namespace

std::string Mounts::obstacle() {
  static const std::string once = make_private();
  return once;
}

void Mounts::small(const std::filesystem::path& at, std::size_t bytes) {
  const std::string options = "mode=700,size=" + std::to_string(bytes);
  check(::mount("none", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()), "mount " + at.string());
}

void Mounts::read_only(const std::filesystem::path& at) {
  check(::mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr), "bind " + at.string());
  // The flags that are there must be asked for again: in a user namespace they are locked.
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  check(::mount("none", at.c_str(), nullptr, flags, nullptr), "remount " + at.string());
}

void Mounts::unmount(const std::filesystem::path& at) {
  check(::umount2(at.c_str(), MNT_DETACH), "unmount " + at.string());
}

}  // namespace bulkhead::support
