#include "contain/cgroup.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "os/file.hpp"
#include "os/last_error.hpp"

namespace bulkhead::contain {

namespace fs = std::filesystem;

namespace {

// "0::/user.slice/...": where a process ("self", or its pid) is in the unified hierarchy.
Result<std::string> cgroup_of(const std::string& process) {
  TRY(const std::string text, os::read_file("/proc/" + process + "/cgroup"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line.substr(4);
  }
  return fail(Code::unsupported, "find the cgroup of process " + process + ": it has none in the unified hierarchy");
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

// A member may have taken permissions away from its own cgroup, and so from us, who are the same user: then they are
// given back. `inside`: what the attempt is made on; empty: the directory itself.
template <class F>
auto with_permission(const fs::path& folder, const fs::path& inside, F&& attempt) {
  auto result = attempt();
  if (result || result.error().code != Code::denied) return result;
  ::chmod(folder.c_str(), S_IRWXU);
  if (!inside.empty()) ::chmod((folder / inside).c_str(), S_IRUSR | S_IWUSR);
  return attempt();
}

Result<std::string> read_from(const fs::path& folder, const char* file) {
  return with_permission(folder, file, [&] { return os::read_file(folder / file); });
}

// One write(2) of the whole text: that is what the kernel's cgroup files take.
Result<void> write_to(const fs::path& folder, const char* file, std::string_view text) {
  const std::string path = (folder / file).string();
  return with_permission(folder, file, [&]() -> Result<void> {
    const os::UniqueHandle handle(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!handle) return os::last_error("open '" + path + "'");
    if (::write(static_cast<int>(handle.get()), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return os::last_error("write '" + path + "'");
    }
    return {};
  });
}

bool is_gone(const Error& error) { return error.code == Code::not_found || error.code == Code::gone; }

// The directory is gone, and that is not because the hierarchy cannot be seen from here.
bool removed(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 || errno != ENOENT) return false;
  return ::stat((path.parent_path() / "cgroup.procs").c_str(), &info) == 0;
}

// Calls visit(path, depth) for each directory in a cgroup's, with a path that is short however deep members have nested
// theirs: more than a path can be long, if they want. What is gone meanwhile is left out.
template <class F>
Result<void> each_subgroup(const fs::path& path, int depth, F&& visit) {
  constexpr int deepest = 256;
  if (depth == deepest) return fail(Code::unsupported, "look into a cgroup: more than 256 are nested in it");
  std::vector<fs::path> names;
  const auto list = [&]() -> Result<void> {
    names.clear();
    std::error_code error;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (it->is_directory(ignored) && !it->is_symlink(ignored)) names.push_back(it->path().filename());
    }
    if (error) return os::system_error(error.value(), "list cgroup '" + path.string() + "'");
    return {};
  };
  if (auto listed = with_permission(path, {}, list); !listed) return is_gone(listed.error()) ? Result<void>{} : listed;
  Result<void> all{};
  for (const fs::path& name : names) {
    const auto visit_one = [&]() -> Result<void> {
      const os::UniqueHandle handle(::open((path / name).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!handle) return os::last_error("open cgroup '" + (path / name).string() + "'");
      return visit("/proc/self/fd/" + std::to_string(handle.get()), name, depth + 1);
    };
    auto visited = with_permission(path, {}, visit_one);
    if (!visited && !is_gone(visited.error())) all = std::move(visited);
  }
  return all;
}

// The process that a thread belongs to; nothing when it has ended.
std::optional<std::int64_t> process_of(std::int64_t thread) {
  const auto text = os::read_file("/proc/" + std::to_string(thread) + "/status");
  if (!text) return std::nullopt;
  const auto at = text->find("\nTgid:");
  if (at == std::string::npos) return std::nullopt;
  return std::strtoll(text->c_str() + at + std::strlen("\nTgid:"), nullptr, 10);
}

// A threaded cgroup, which a member can make of one without members, does not tell its processes, but its threads.
Result<void> add_pids_of(const fs::path& path, std::vector<std::int64_t>& pids) {
  TRY(const std::string type, read_from(path, "cgroup.type"));
  const bool threaded = type == "threaded\n";
  TRY(const std::string text, read_from(path, threaded ? "cgroup.threads" : "cgroup.procs"));
  std::istringstream numbers(text);
  for (std::int64_t number = 0; numbers >> number;) {
    const auto pid = threaded ? process_of(number) : number;
    if (pid) pids.push_back(*pid);
  }
  return {};
}

Result<void> add_pids(const fs::path& path, int depth, std::vector<std::int64_t>& pids) {
  auto own = add_pids_of(path, pids);
  auto below = each_subgroup(
      path, depth, [&](const fs::path& sub, const fs::path&, int deeper) { return add_pids(sub, deeper, pids); });
  return own ? below : own;
}

Result<void> remove_subgroups(const fs::path& path, int depth) {
  return each_subgroup(path, depth, [&](const fs::path& sub, const fs::path& name, int deeper) -> Result<void> {
    CHECKED(remove_subgroups(sub, deeper));
    if (::rmdir((path / name).c_str()) == 0 || errno == ENOENT) return {};
    return os::last_error("remove cgroup '" + (path / name).string() + "'");
  });
}

}  // namespace

Result<fs::path> Cgroup::base() {
  TRY(const std::string own, cgroup_of("self"));
  TRY(const fs::path mount, mount_point(own));
  // root may use the top; another user only the subtree that was delegated to it, and only while it lives inside.
  const fs::path parent = ::geteuid() == 0 ? mount : mount / own;
  fs::path base = parent / ("bulkhead-" + std::to_string(::geteuid()));
  CHECKED(make_directory(base));
  const Cgroup trial(base / ("trial-" + std::to_string(::getpid())));
  CHECKED(trial.remove());  // of one who had this pid and was killed here
  CHECKED(trial.create());
  const auto entrance = trial.entrance();
  const bool can_kill = ::access((trial.path() / "cgroup.kill").c_str(), W_OK) == 0;  // Linux 5.14
  CHECKED(trial.remove());
  if (!entrance) return std::unexpected(entrance.error());
  if (!can_kill) return fail(Code::unsupported, "use cgroups: this kernel has no cgroup.kill");
  return base;
}

std::optional<Cgroup> Cgroup::around(std::int64_t pid, const std::string& name) {
  const auto theirs = cgroup_of(std::to_string(pid));
  if (!theirs) return std::nullopt;
  const auto mount = mount_point(*theirs);
  if (!mount) return std::nullopt;
  for (fs::path path = *theirs; !path.empty(); path = path.parent_path()) {
    if (path.filename() == name) return Cgroup(*mount / path);
  }
  return std::nullopt;
}

namespace {
constexpr const char* owner_attribute = "user.bulkhead.home";
}  // namespace

Result<void> Cgroup::sign(const std::string& owner) const {
  if (::setxattr(path_.c_str(), owner_attribute, owner.data(), owner.size(), 0) == 0) return {};
  return os::last_error("sign cgroup '" + path_.string() + "'");
}

std::optional<std::string> Cgroup::owner() const {
  std::array<char, 4096> value{};
  const ssize_t size = ::lgetxattr(path_.c_str(), owner_attribute, value.data(), value.size());
  if (size < 0) return std::nullopt;
  return std::string(value.data(), static_cast<std::size_t>(size));
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
  auto added = add_pids(path_, 0, pids);
  if (!added && removed(path_)) return std::vector<std::int64_t>{};
  CHECKED(std::move(added));
  return pids;
}

Result<Cgroup::Occupancy> Cgroup::occupancy() const {
  const auto text = read_from(path_, "cgroup.events");
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
  return write_to(path_, "cgroup.kill", "1");
}

Result<void> Cgroup::remove() const {
  CHECKED(remove_subgroups(path_, 0));
  if (::rmdir(path_.c_str()) == 0 || errno == ENOENT) return {};
  return os::last_error("remove cgroup '" + path_.string() + "'");
}

}  // namespace bulkhead::contain
