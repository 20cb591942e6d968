#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <sched.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/last_error.hpp"
#include "os/pipe.hpp"
#include "os/process.hpp"

namespace bulkhead::os {

namespace {

// What the child tells its parent when it cannot become the program.
struct ChildError {
  int number;
  int stage;
};
constexpr int stage_born = -1;  // no error: `number` is the pid of the process in the namespace
enum Stage : int {
  stage_namespace,
  stage_map,
  stage_birth,
  stage_session,
  stage_cgroup,
  stage_stdio,
  stage_cwd,
  stage_exec
};
constexpr std::array stage_names{"enter a pid namespace",
                                 "map the user namespace",
                                 "start a process in the pid namespace",
                                 "make a session",
                                 "enter the cgroup",
                                 "redirect output",
                                 "change directory",
                                 "execute"};

Result<UniqueHandle> open_output(const Output& output) {
  switch (output.to) {
    case Output::To::null: {
      UniqueHandle null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      if (!null) return last_error("open '/dev/null'");
      return null;
    }
    case Output::To::file: {
      UniqueHandle file(
          ::open(output.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
      if (!file) return last_error("open '" + output.path + "'");
      return file;
    }
    case Output::To::handle: {
      UniqueHandle copy(::fcntl(static_cast<int>(output.handle), F_DUPFD_CLOEXEC, 3));
      if (!copy) return last_error("duplicate an output handle");
      return copy;
    }
  }
  return fail(Code::internal, "open output: unknown kind");
}

// All that the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> env_text;
  std::vector<char*> env;
  UniqueHandle null;
  UniqueHandle out;
  UniqueHandle err;
  // Of a user namespace in which only this user and group exist, under their own numbers.
  std::string uid_map = only(::geteuid());
  std::string gid_map = only(::getegid());

  static std::string only(unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; }
};

Result<Prepared> prepare(const Spawn& spec) {
  if (spec.argv.empty()) return fail(Code::invalid, "spawn: argv is empty");
  Prepared p;
  TRY(p.program, find_program(spec.argv[0]));
  for (const std::string& arg : spec.argv) {
    if (arg.find('\0') != std::string::npos)
      return fail(Code::invalid, "spawn '" + p.program + "': an argument has a NUL");
    p.argv.push_back(const_cast<char*>(arg.c_str()));  // execve does not write to it
  }
  p.argv.push_back(nullptr);
  for (const auto& [key, value] : spec.env) p.env_text.push_back(key + "=" + value);
  for (std::string& text : p.env_text) p.env.push_back(text.data());
  p.env.push_back(nullptr);
  TRY(p.null, open_output(Output{}));
  TRY(p.out, open_output(spec.out));
  TRY(p.err, open_output(spec.err));
  return p;
}

[[noreturn]] void give_up(int report, int number, Stage stage) {
  const ChildError error{.number = number, .stage = stage};
  [[maybe_unused]] const auto written = ::write(report, &error, sizeof error);
  ::_exit(127);
}

// In the child, between fork and exec: async-signal-safe calls only, no allocation.
[[noreturn]] void become(const Spawn& spec, const Prepared& p, int gate, int report) {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  // Nothing comes through the gate when the parent died or refused: then this process must not become the program.
  char go = 0;
  ssize_t got = 0;
  do {
    got = ::read(gate, &go, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(127);
  if (spec.place == Spawn::Place::own_session && ::setsid() < 0) give_up(report, errno, stage_session);
  if (spec.cgroup != no_handle && ::write(static_cast<int>(spec.cgroup), "0", 1) != 1) {
    give_up(report, errno, stage_cgroup);
  }
  if (::dup2(static_cast<int>(p.null.get()), 0) < 0 || ::dup2(static_cast<int>(p.out.get()), 1) < 0 ||
      ::dup2(static_cast<int>(p.err.get()), 2) < 0) {
    give_up(report, errno, stage_stdio);
  }
  if (::chdir(spec.cwd.c_str()) != 0) give_up(report, errno, stage_cwd);
  ::umask(S_IRWXG | S_IRWXO);
  constexpr unsigned close_on_exec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11
  if (::syscall(SYS_close_range, 3U, ~0U, close_on_exec) != 0) {
    for (int fd = 3; fd < static_cast<int>(::sysconf(_SC_OPEN_MAX)); ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (const RawHandle handle : spec.inherit) ::fcntl(static_cast<int>(handle), F_SETFD, 0);

  ::execve(p.program.c_str(), p.argv.data(), p.env.data());
  give_up(report, errno, stage_exec);
}

bool write_all(const char* file, const char* text, std::size_t size) {
  const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::write(fd, text, size) == static_cast<ssize_t>(size);
  ::close(fd);
  return written;
}

// In a child that exists only for this: what it starts next is born in the namespace, as a child of our parent.
[[noreturn]] void give_birth(const Spawn& spec, const Prepared& p, int gate, int report) {
  if (spec.new_pid_namespace) {
    if (::unshare(CLONE_NEWPID) != 0) {
      if (errno != EPERM || ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) give_up(report, errno, stage_namespace);
      constexpr std::string_view deny = "deny";
      if (!write_all("/proc/self/setgroups", deny.data(), deny.size()) ||
          !write_all("/proc/self/uid_map", p.uid_map.data(), p.uid_map.size()) ||
          !write_all("/proc/self/gid_map", p.gid_map.data(), p.gid_map.size())) {
        give_up(report, errno, stage_map);
      }
    }
  } else {
    const RawHandle user = spec.pid_namespace->user_handle();
    if ((user != no_handle && ::setns(static_cast<int>(user), CLONE_NEWUSER) != 0) ||
        ::setns(static_cast<int>(spec.pid_namespace->handle()), CLONE_NEWPID) != 0) {
      give_up(report, errno, stage_namespace);
    }
  }
  const auto pid = ::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) become(spec, p, gate, report);
  if (pid < 0) give_up(report, errno, stage_birth);
  const ChildError born{.number = static_cast<int>(pid), .stage = stage_born};
  [[maybe_unused]] const auto written = ::write(report, &born, sizeof born);
  ::_exit(0);
}

// fork with all signals blocked, so that no handler of ours runs in the child.
pid_t fork_quietly() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  const int error = errno;
  if (pid != 0) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.empty()) return fail(Code::not_found, "find program '': no name");
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) != 0) return last_error("find program '" + name + "'");
    return name;
  }
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  std::string rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  const std::string searched = rest;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    std::string candidate = rest.substr(0, colon) + "/" + name;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    if (candidate[0] == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(Code::not_found, "find program '" + name + "': not in " + searched, "install it, or give its full path");
}

namespace {

Error child_error(const std::string& what, const ChildError& error) {
  const auto stage = static_cast<std::size_t>(error.stage);
  return system_error(error.number, what + ": " + (stage < stage_names.size() ? stage_names[stage] : "unknown stage"))
      .error();
}

// What the child says next; nothing when it has become the program.
std::optional<ChildError> heard(const Pipe& report) {
  ChildError error{};
  ssize_t got = 0;
  do {
    got = ::read(static_cast<int>(report.read.get()), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof error)) return std::nullopt;
  return error;
}

// The pid of the child that waits at the gate.
Result<pid_t> start_at_gate(const Spawn& spec, const Prepared& prepared, const Pipe& gate, Pipe& report,
                            const std::string& what) {
  const bool in_namespace = spec.new_pid_namespace || spec.pid_namespace != nullptr;
  const pid_t pid = fork_quietly();
  if (pid < 0) return last_error(what);
  if (pid == 0) {
    // The gate's write end must not stay open in the child, or it would never see its parent's death.
    ::close(static_cast<int>(gate.write.get()));
    const int gate_fd = static_cast<int>(gate.read.get());
    const int report_fd = static_cast<int>(report.write.get());
    if (in_namespace) give_birth(spec, prepared, gate_fd, report_fd);
    become(spec, prepared, gate_fd, report_fd);
  }
  report.write = UniqueHandle{};
  if (!in_namespace) return pid;
  const auto born = heard(report);
  while (::waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) continue;
  if (!born) return fail(Code::unavailable, what + ": the process that should start it was killed");
  if (born->stage != stage_born) return std::unexpected(child_error(what, *born));
  return born->number;
}

}  // namespace

Result<Process> spawn(const Spawn& spec, const BeforeExec& before_exec) {
  TRY(const Prepared prepared, prepare(spec));
  TRY(const Pipe gate, make_pipe());
  TRY(Pipe report, make_pipe());
  const std::string what = "start '" + prepared.program + "'";
  TRY(const pid_t pid, start_at_gate(spec, prepared, gate, report, what));
  auto process = Process::open_pid(pid);
  if (!process) return std::unexpected(within(what, process.error()));
  // By the parent: the number of a group is another one inside a pid namespace.
  if (spec.place != Spawn::Place::own_session) {
    const auto group = spec.place == Spawn::Place::own_group ? pid : static_cast<pid_t>(spec.group);
    if (::setpgid(pid, group) != 0) return last_error(what + ": enter the process group");
  }
  if (auto recorded = before_exec(process->identity()); !recorded)
    return std::unexpected(within(what, recorded.error()));
  const char go = 1;
  if (::write(static_cast<int>(gate.write.get()), &go, 1) != 1) return last_error(what);
  if (const auto error = heard(report)) return std::unexpected(child_error(what, *error));
  return process;
}

}  // namespace bulkhead::os
