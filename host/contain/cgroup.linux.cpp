#include "contain/cgroup.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.hpp"
#include "os/last_error.hpp"

namespace bulkhead::contain {

namespace fs = std::filesystem;

namespace {

// "0::/user.slice/...": where this process is in the unified hierarchy.
Result<std::string> own_cgroup() {
  TRY(const std::string text, os::read_file("/proc/self/cgroup"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line.substr(4);
  }
  return fail(Code::unsupported, "find this process's cgroup: it has none in the unified hierarchy");
}

// proc(5), mountinfo: "36 35 98:0 /root /mount/point options - type source options". There can be several, and some can
// be hidden by a later mount.
Result<fs::path> mount_point(const std::string& own) {
  TRY(const std::string text, os::read_file("/proc/self/mountinfo"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (root != "/") continue;  // a part of the hierarchy only: paths of /proc/self/cgroup do not fit it
    std::error_code ignored;
    if (fs::exists(fs::path(point) / own / "cgroup.procs", ignored)) return fs::path(point);
  }
  return fail(Code::unsupported, "find a cgroup v2 mount: there is none");
}

Result<void> make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), S_IRWXU | S_IRGRP | S_IXGRP) == 0 || errno == EEXIST) return {};
  return os::last_error("create cgroup '" + path.string() + "'");
}

// One write(2) of the whole text: that is what the kernel's cgroup files take.
Result<void> write_to(const fs::path& file, std::string_view text) {
  const os::UniqueHandle handle(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!handle) return os::last_error("open '" + file.string() + "'");
  if (::write(static_cast<int>(handle.get()), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return os::last_error("write '" + file.string() + "'");
  }
  return {};
}

template <class F>
void each_subgroup(const fs::path& path, F&& visit) {
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) visit(it->path());
  }
}

// The directory is gone, and that is not because the hierarchy cannot be seen from here.
bool removed(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 || errno != ENOENT) return false;
  return ::stat((path.parent_path() / "cgroup.procs").c_str(), &info) == 0;
}

Result<void> add_pids(const fs::path& path, std::vector<std::int64_t>& pids) {
  auto text = os::read_file(path / "cgroup.procs");
  if (!text) {
    if (removed(path)) return {};
    return std::unexpected(text.error());
  }
  std::istringstream numbers(*text);
  for (std::int64_t pid = 0; numbers >> pid;) pids.push_back(pid);
  Result<void> all{};
  each_subgroup(path, [&](const fs::path& sub) {
    if (auto added = add_pids(sub, pids); !added) all = added;
  });
  return all;
}

}  // namespace

Result<fs::path> Cgroup::base() {
  TRY(const std::string own, own_cgroup());
  TRY(const fs::path mount, mount_point(own));
  // root may use the top; another user only the subtree that was delegated to it, and only while it lives inside.
  const fs::path parent = ::geteuid() == 0 ? mount : mount / own;
  fs::path base = parent / ("bulkhead-" + std::to_string(::geteuid()));
  CHECKED(make_directory(base));
  const Cgroup trial(base / ("trial-" + std::to_string(::getpid())));
  CHECKED(trial.create());
  const auto entrance = trial.entrance();
  const bool can_kill = ::access((trial.path() / "cgroup.kill").c_str(), W_OK) == 0;  // Linux 5.14
  CHECKED(trial.remove());
  if (!entrance) return std::unexpected(entrance.error());
  if (!can_kill) return fail(Code::unsupported, "use cgroups: this kernel has no cgroup.kill");
  return base;
}

Result<void> Cgroup::create() const {
  if (::mkdir(path_.c_str(), S_IRWXU | S_IRGRP | S_IXGRP) != 0) {
    return os::last_error("create cgroup '" + path_.string() + "'");
  }
  return {};
}

Result<os::UniqueHandle> Cgroup::entrance() const {
  const fs::path file = path_ / "cgroup.procs";
  os::UniqueHandle handle(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!handle) return os::last_error("open '" + file.string() + "'");
  return handle;
}

Result<std::vector<std::int64_t>> Cgroup::pids() const {
  std::vector<std::int64_t> pids;
  CHECKED(add_pids(path_, pids));
  return pids;
}

Result<Cgroup::Occupancy> Cgroup::occupancy() const {
  const auto text = os::read_file(path_ / "cgroup.events");
  if (!text) {
    if (removed(path_)) return Occupancy::empty;  // only an empty cgroup can be removed
    return std::unexpected(text.error());
  }
  if (text->find("populated 0") != std::string::npos) return Occupancy::empty;
  if (text->find("populated 1") != std::string::npos) return Occupancy::populated;
  return fail(Code::unknown, "read '" + (path_ / "cgroup.events").string() + "': it does not say 'populated'");
}

Result<void> Cgroup::kill() const {
  if (removed(path_)) return {};
  return write_to(path_ / "cgroup.kill", "1");
}

Result<void> Cgroup::remove() const {
  Result<void> all{};
  each_subgroup(path_, [&](const fs::path& sub) {
    if (auto removed = Cgroup(sub).remove(); !removed) all = removed;
  });
  CHECKED(std::move(all));
  if (::rmdir(path_.c_str()) == 0 || errno == ENOENT) return {};
  return os::last_error("remove cgroup '" + path_.string() + "'");
}

}  // namespace bulkhead::contain
