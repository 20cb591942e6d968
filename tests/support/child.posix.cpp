// A program that behaves as it is told: each argument is an action, performed in this order. At the end of the list it
// sleeps for good.
//   say WORD        writes a line; "ready" is what tests wait for
//   deaf            ignores SIGTERM, SIGINT and SIGHUP
//   fork N          starts N children in the same group, which sleep
//   daemonise       starts a process that leaves: forked twice, in its own session, all descriptors closed
//   threaded-daemon the same, and its first thread has ended while another lives
//   nameless-daemon the same as daemonise, with an empty environment
//   crowd N         the same as daemonise, N times, and deaf
//   leaderless-crowd N  the same as crowd, and the first thread of each has ended
//   phoenix         two that left as daemonise does: when one dies, the other starts it again
//   storm N SECONDS N lines of processes, each process starts the next after 1 ms and exits; ends by itself
//   comet N SECONDS PATH  a storm that left, each process in its own session; each adds a byte to PATH
//   close-fds       closes all descriptors
//   mover           goes to the top of the cgroup v2 hierarchy
//   become-root     takes the user of its setuid file for good
//   listen PATH     binds a Unix socket
//   until FIFO      waits until somebody opens it for writing, and exits
//   end-first-thread  the first thread ends, another lives
//   name NAME       the short name that the kernel shows
//   args            one line for each of the arguments that follow, and the end of the list
//   env, cwd, fds   writes what it has
//   kill PID        SIGKILL to that process
//   exit CODE
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <map>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

[[noreturn]] void sleep_for_good() {
  for (;;) ::pause();
}

void end_first_thread() {
  std::thread(sleep_for_good).detach();
  // Not std::thread's way out: exit() would end the others too.
  ::pthread_exit(nullptr);
}

void be_deaf() {
  for (const int s : {SIGTERM, SIGINT, SIGHUP}) ::signal(s, SIG_IGN);
}

void start_children(int number) {
  for (int i = 0; i < number; ++i) {
    if (::fork() == 0) sleep_for_good();
  }
}

void close_everything() {
  const auto limit = static_cast<int>(std::min(::sysconf(_SC_OPEN_MAX), 4096L));
  for (int fd = 0; fd < limit; ++fd) ::close(fd);
}

// Returns in the starter, once the daemon is what it is meant to be.
void start_daemon(const std::function<void()>& then) {
  int ready[2];
  if (::pipe(ready) != 0) ::_exit(99);
  const pid_t between = ::fork();
  if (between == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    close_everything();  // the pipe's end with them: that is the message
    then();
    sleep_for_good();
  }
  ::close(ready[1]);
  char ignored = 0;
  while (::read(ready[0], &ignored, 1) > 0) continue;
  ::close(ready[0]);
  ::waitpid(between, nullptr, 0);
}

// As a child of our parent, in a pid namespace of its own, and with no environment.
void start_in_own_namespace() {
  if (::unshare(CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) ::_exit(96);
  if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) != 0) return;
  close_everything();
  char program[] = "/proc/self/exe";
  char* const arguments[] = {program, nullptr};
  char* const nothing[] = {nullptr};
  ::execve(program, arguments, nothing);
  ::_exit(96);
}

void start_lines(int lines, int seconds, const std::function<void()>& each) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (int i = 0; i < lines; ++i) {
    if (::fork() != 0) continue;
    while (std::chrono::steady_clock::now() < end) {
      each();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (::fork() != 0) ::_exit(0);
    }
    ::_exit(0);
  }
}

void add_byte(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, S_IRUSR | S_IWUSR);
  [[maybe_unused]] const auto written = ::write(file, "*", 1);
  ::close(file);
}

void start_comet(int lines, int seconds, const std::string& path) {
  start_daemon([=] {
    start_lines(lines, seconds, [&] {
      ::setsid();
      add_byte(path);
    });
    ::_exit(0);
  });
}

void start_crowd(int number, const std::function<void()>& then) {
  be_deaf();
  for (int i = 0; i < number; ++i) start_daemon(then);
}

// The one that waits for the other's death starts the other again.
[[noreturn]] void watch_each_other() {
  for (;;) {
    int alive[2];
    if (::pipe(alive) != 0) ::_exit(99);
    const pid_t other = ::fork();
    if (other == 0) {
      ::setsid();
      ::close(alive[1]);
      char ignored = 0;
      while (::read(alive[0], &ignored, 1) > 0) continue;
    } else {
      ::waitpid(other, nullptr, 0);
      ::close(alive[1]);
    }
    ::close(alive[0]);
  }
}

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(97);
}

void go_to_top_cgroup() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, point, type;
    fields >> source >> point >> type;
    if (type != "cgroup2") continue;
    const int file = ::open((point + "/cgroup.procs").c_str(), O_WRONLY);
    if (::write(file, "0", 1) != 1) fail("cgroup.procs");
    ::close(file);
    return;
  }
  fail("no cgroup v2 mount");
}

void listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(socket, 1) != 0) fail("listen");
}

void exit_when_opened(const std::string& fifo) { std::exit(::open(fifo.c_str(), O_RDONLY) < 0 ? 97 : 0); }

void say(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

void list_open_files() {
  DIR* const open = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(open)) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name != std::to_string(::dirfd(open))) say(name);
  }
  ::closedir(open);
}

void list_environment() {
  for (char** entry = environ; *entry != nullptr; ++entry) say(*entry);
}

class Actions {
 public:
  Actions(int argc, char** argv) : words_(argv + 1, argv + argc) {}

  void perform() {
    while (at_ < words_.size()) {
      const std::string action = next();
      const auto known = table_.find(action);
      if (known == table_.end()) {
        std::fprintf(stderr, "test_child: unknown action '%s'\n", action.c_str());
        std::exit(98);
      }
      known->second();
    }
    sleep_for_good();
  }

 private:
  std::string next() { return at_ < words_.size() ? words_[at_++] : std::string(); }
  int number() { return std::atoi(next().c_str()); }

  std::vector<std::string> words_;
  std::size_t at_ = 0;
  const std::map<std::string, std::function<void()>> table_{
      {"say", [this] { say(next()); }},
      {"deaf", be_deaf},
      {"fork", [this] { start_children(number()); }},
      {"daemonise", [] { start_daemon([] {}); }},
      {"threaded-daemon", [] { start_daemon(end_first_thread); }},
      {"nameless-daemon",
       [] {
         start_daemon([] {
           char program[] = "/proc/self/exe";
           char* const arguments[] = {program, nullptr};
           char* const nothing[] = {nullptr};
           ::execve(program, arguments, nothing);
         });
       }},
      {"nested-namespace", start_in_own_namespace},
      {"storm",
       [this] {
         const int lines = number();
         start_lines(lines, number(), [] {});
       }},
      {"comet",
       [this] {
         const int lines = number();
         const int seconds = number();
         start_comet(lines, seconds, next());
       }},
      {"crowd", [this] { start_crowd(number(), [] {}); }},
      {"leaderless-crowd", [this] { start_crowd(number(), end_first_thread); }},
      {"phoenix", [] { start_daemon(watch_each_other); }},
      {"close-fds", close_everything},
      {"mover", go_to_top_cgroup},
      {"become-root",
       [] {
         if (::setreuid(0, 0) != 0) fail("setreuid");
       }},
      {"listen", [this] { listen_on(next()); }},
      {"until", [this] { exit_when_opened(next()); }},
      {"end-first-thread", end_first_thread},
      {"name", [this] { ::prctl(PR_SET_NAME, next().c_str()); }},
      {"args",
       [this] {
         while (at_ < words_.size()) say(next());
         std::exit(0);
       }},
      {"env", list_environment},
      {"cwd", [] { say(std::string(::getcwd(nullptr, 0))); }},
      {"fds", list_open_files},
      {"kill", [this] { ::kill(number(), SIGKILL); }},
      {"exit", [this] { std::exit(number()); }},
  };
};

}  // namespace

int main(int argc, char** argv) { Actions(argc, argv).perform(); }
