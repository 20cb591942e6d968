#include "support/unkillable.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "support/eventually.hpp"
#include "support/text_file.hpp"

namespace bulkhead::support {

HeldAtExit::HeldAtExit(std::int64_t pid) : pid_(pid) {
  if (::ptrace(PTRACE_SEIZE, static_cast<pid_t>(pid), nullptr, PTRACE_O_TRACEEXIT) != 0) {
    throw std::runtime_error("cannot trace process " + std::to_string(pid) + ": " + std::strerror(errno));
  }
}

// A tracee can be detached while it stands still, which it does after its death, or after an interrupt.
void HeldAtExit::let_go() {
  const auto pid = static_cast<pid_t>(std::exchange(pid_, 0));
  if (pid == 0) return;
  ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr);
  eventually([&] { return ::waitpid(pid, nullptr, __WALL | WNOHANG) != 0; });
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
}

namespace {

const std::filesystem::path freezer = "/sys/fs/cgroup/freezer";

}  // namespace

std::string Frozen::obstacle() {
  if (::access((freezer / "cgroup.procs").c_str(), W_OK) == 0) return {};
  return "this user has no cgroup v1 freezer at " + freezer.string();
}

Frozen::Frozen(std::int64_t pid) : pid_(pid), folder_(freezer / ("bulkhead-test-" + std::to_string(pid))) {
  std::filesystem::create_directory(folder_);
  write_text(folder_ / "cgroup.procs", std::to_string(pid));
  write_text(folder_ / "freezer.state", "FROZEN");
  if (!eventually([&] { return read_text(folder_ / "freezer.state") == "FROZEN\n"; })) {
    throw std::runtime_error("cannot freeze process " + std::to_string(pid));
  }
}

void Frozen::let_go() { write_text(folder_ / "freezer.state", "THAWED"); }

Frozen::~Frozen() {
  let_go();
  write_text(freezer / "cgroup.procs", std::to_string(pid_));  // where it still lives
  eventually([&] { return ::rmdir(folder_.c_str()) == 0 || errno != EBUSY; });
}

}  // namespace bulkhead::support
