#include "support/census.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <sstream>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/eventually.hpp"
#include "support/text_file.hpp"

namespace bulkhead::support {

namespace {

std::vector<std::int64_t> numbers_in(const std::string& directory) {
  std::vector<std::int64_t> numbers;
  DIR* const open = ::opendir(directory.c_str());
  if (open == nullptr) return numbers;
  while (const dirent* const entry = ::readdir(open)) {
    char* end = nullptr;
    const std::int64_t number = std::strtoll(entry->d_name, &end, 10);
    if (number > 0 && *end == '\0') numbers.push_back(number);
  }
  ::closedir(open);
  return numbers;
}

std::string proc(std::int64_t pid) { return "/proc/" + std::to_string(pid); }

// The lines of a status file, as "Key:\tvalue".
std::string field(const std::string& status, const std::string& key) {
  const auto at = status.find("\n" + key + ":\t");
  if (at == std::string::npos) return {};
  const auto from = at + key.size() + 3;
  return status.substr(from, status.find('\n', from) - from);
}

bool dead(char state) { return state == 'Z' || state == 'X' || state == '-'; }

char state_in(const std::string& folder) {
  const std::string state = field("\n" + read_text(folder + "/status"), "State");
  return state.empty() ? '-' : state.front();
}

std::optional<Seen> look(std::int64_t pid) {
  const std::string status = "\n" + read_text(proc(pid) + "/status");
  if (status.size() == 1) return std::nullopt;
  Seen seen{
      .pid = pid, .parent = std::atoll(field(status, "PPid").c_str()), .group = ::getpgid(static_cast<pid_t>(pid))};
  seen.name = field(status, "Name");
  const std::string state = field(status, "State");
  seen.state = state.empty() ? '-' : state.front();
  return seen;
}

bool mentions(std::int64_t pid, std::string_view text, std::string& command) {
  bool found = false;
  for (const std::int64_t thread : numbers_in(proc(pid) + "/task")) {
    const std::string folder = proc(pid) + "/task/" + std::to_string(thread);
    if (dead(state_in(folder))) continue;
    std::string arguments = read_text(folder + "/cmdline");
    found = found || arguments.find(text) != std::string::npos ||
            read_text(folder + "/environ").find(text) != std::string::npos;
    std::ranges::replace(arguments, '\0', ' ');
    if (command.empty()) command = std::move(arguments);
  }
  return found;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  return out << "pid " << seen.pid << " (parent " << seen.parent << ", group " << seen.group << ", state " << seen.state
             << ") " << seen.name << ": " << seen.command;
}

std::vector<Seen> census(std::string_view text) {
  std::vector<Seen> found;
  for (const std::int64_t pid : numbers_in("/proc")) {
    if (pid == ::getpid()) continue;
    std::string command;
    if (!mentions(pid, text, command)) continue;
    if (auto seen = look(pid)) {
      seen->command = std::move(command);
      found.push_back(*std::move(seen));
    }
  }
  return found;
}

bool alive(std::int64_t pid) {
  return std::ranges::any_of(numbers_in(proc(pid) + "/task"), [&](std::int64_t thread) {
    return !dead(state_in(proc(pid) + "/task/" + std::to_string(thread)));
  });
}

std::vector<Seen> children_of(std::int64_t pid) {
  std::vector<Seen> found;
  for (const std::int64_t candidate : numbers_in("/proc")) {
    if (auto seen = look(candidate); seen && seen->parent == pid) found.push_back(*std::move(seen));
  }
  return found;
}

char state_of(std::int64_t pid) { return state_in(proc(pid)); }

std::uint64_t start_time_of(std::int64_t pid) {
  const std::string stat = read_text(proc(pid) + "/stat");
  if (stat.empty()) return 0;
  // After the name, which can hold anything, the 20th field from the state on.
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

bool locked(const std::filesystem::path& file) {
  const int handle = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const bool held = handle >= 0 && ::flock(handle, LOCK_EX | LOCK_NB) != 0;
  if (handle >= 0) ::close(handle);
  return held;
}

void kill(const Seen& seen, std::string_view text) {
  // The handle is opened first and the process looked at again, so that a recycled pid is not hit.
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(seen.pid), 0U));
  std::string ignored;
  if (handle >= 0 && mentions(seen.pid, text, ignored)) ::syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0U);
  if (handle >= 0) ::close(handle);
}

void end_all(std::string_view text) {
  eventually([&] {
    const auto left = census(text);
    for (const Seen& seen : left) kill(seen, text);
    return left.empty();
  });
}

}  // namespace bulkhead::support
