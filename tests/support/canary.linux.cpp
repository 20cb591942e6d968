#include "support/canary.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdexcept>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/census.hpp"
#include "support/eventually.hpp"
#include "support/run.hpp"
#include "support/text_file.hpp"

namespace bulkhead::support {

namespace {

// clone3(2). Returns twice, as fork does.
pid_t fork_with_pid(std::int64_t pid) {
  pid_t wanted = static_cast<pid_t>(pid);
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uintptr_t>(&wanted);
  arguments.set_tid_size = 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace

Canary::Canary(std::int64_t pid, const std::string& program, const std::filesystem::path& mark)
    : pid_(pid), mark_("CANARY=" + mark.string()) {
  write_text(mark, "");
  std::vector<std::string> words{program, "fork", "1", "say", "ready"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* const environment[] = {mark_.data(), nullptr};
  const int out = ::open(mark.c_str(), O_WRONLY | O_CLOEXEC);
  pid_t child = -1;
  // The one who had it may just be being reaped.
  eventually([&] { return (child = fork_with_pid(pid)) >= 0 || errno != EEXIST; });
  if (child == 0) {
    ::setpgid(0, 0);
    ::dup2(out, STDOUT_FILENO);
    ::execve(arguments[0], arguments.data(), environment);
    ::_exit(99);
  }
  const int error = errno;
  ::close(out);
  if (child < 0) throw std::runtime_error("cannot use pid " + std::to_string(pid) + " again: " + std::strerror(error));
  eventually([&] { return read_text(mark) == "ready\n" && census(mark_).size() == 2; });
}

Canary::~Canary() {
  end_all(mark_);
  while (::waitpid(static_cast<pid_t>(pid_), nullptr, 0) < 0 && errno == EINTR) continue;
}

bool Canary::lives() const { return alive(pid_) && census(mark_).size() == 2; }

namespace {

constexpr const char* caged = "BULKHEAD_TEST_CAGED";

Finished in_cage(const std::vector<std::string>& command) {
  Command whole{.program = "/usr/bin/unshare"};
  if (::geteuid() != 0) whole.arguments = {"--user", "--map-root-user"};
  // The shell is the init: what is tested is not meant to be pid 1.
  for (const char* word :
       {"--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", R"("$0" "$@"; exit $?)"}) {
    whole.arguments.emplace_back(word);
  }
  whole.arguments.insert(whole.arguments.end(), command.begin(), command.end());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    whole.env[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  }
  whole.env[caged] = "1";
  return run(std::move(whole));
}

}  // namespace

// The init of the machine is not called sh, and is not our parent.
bool Cage::inside() { return std::getenv(caged) != nullptr && ::getppid() == 1 && read_text("/proc/1/comm") == "sh\n"; }

std::string Cage::obstacle() {
  if (std::getenv(caged) != nullptr) return "this is a cage already";
  if (::access("/usr/bin/unshare", X_OK) != 0) return "there is no unshare (util-linux)";
  const Finished tried = in_cage({"/bin/true"});
  return tried.code == 0 ? "" : "this user may not make a pid namespace: " + tried.err;
}

Finished Cage::run_this_case() {
  std::string name;
  for (const char c : Catch::getResultCapture().getCurrentTestName()) {
    if (c == ',' || c == '[' || c == '\\') name += '\\';
    name += c;
  }
  return in_cage({std::filesystem::read_symlink("/proc/self/exe").string(), name});
}

}  // namespace bulkhead::support
