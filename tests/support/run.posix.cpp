#include "support/run.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::support {

namespace {

using Clock = std::chrono::steady_clock;

struct Ends {
  int read = -1;
  int write = -1;
};

Ends make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  return {ends[0], ends[1]};
}

void close_end(int& end) {
  if (end >= 0) ::close(std::exchange(end, -1));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// One read; false at the end of the stream.
bool take(int from, std::string& into) {
  std::array<char, 4096> buffer{};
  const ssize_t got = ::read(from, buffer.data(), buffer.size());
  if (got > 0) into.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

}  // namespace

Program::Program(Command command) : command_(std::move(command)), end_(Clock::now() + command_.limit) {
  Ends in = make_pipe();
  Ends out = make_pipe();
  Ends err = make_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write, 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.write, 2);
  std::vector<std::string> arguments{command_.program};
  arguments.insert(arguments.end(), command_.arguments.begin(), command_.arguments.end());
  std::vector<std::string> variables;
  for (const auto& [key, value] : command_.env) variables.push_back(key + "=" + value);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, command_.program.c_str(), &actions, nullptr, pointers(arguments).data(),
                                  pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  close_end(in.read);
  close_end(out.write);
  close_end(err.write);
  in_ = in.write;
  out_ = out.read;
  err_ = err.read;
  if (error != 0) {
    close_all();
    throw std::runtime_error("cannot start '" + command_.program + "', error " + std::to_string(error));
  }
  pid_ = pid;
  ::fcntl(in_, F_SETFL, O_NONBLOCK);
  if (command_.input.empty()) close_end(in_);
}

Program::~Program() {
  close_all();
  if (reaped_ || pid_ == 0) return;
  signal(SIGKILL);
  ::waitpid(static_cast<pid_t>(pid_), nullptr, 0);
}

void Program::close_all() {
  close_end(in_);
  close_end(out_);
  close_end(err_);
}

void Program::signal(int number) const {
  if (!reaped_) ::kill(static_cast<pid_t>(pid_), number);
}

Finished Program::wait() {
  Finished finished;
  std::string_view unsent = command_.input;
  while (out_ >= 0 || err_ >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
    if (left <= 0) {
      finished.late = true;
      signal(SIGKILL);
      break;
    }
    std::array<pollfd, 3> waits{pollfd{.fd = out_, .events = POLLIN, .revents = 0},
                                pollfd{.fd = err_, .events = POLLIN, .revents = 0},
                                pollfd{.fd = in_, .events = POLLOUT, .revents = 0}};
    if (::poll(waits.data(), waits.size(), static_cast<int>(std::min<long long>(left, 60'000))) <= 0) continue;
    if (waits[0].revents != 0 && !take(out_, finished.out)) close_end(out_);
    if (waits[1].revents != 0 && !take(err_, finished.err)) close_end(err_);
    if (waits[2].revents == 0) continue;
    const ssize_t put = ::write(in_, unsent.data(), unsent.size());
    if (put > 0) unsent.remove_prefix(static_cast<std::size_t>(put));
    if (put < 0 || unsent.empty()) close_end(in_);
  }
  close_all();
  int status = 0;
  while (::waitpid(static_cast<pid_t>(pid_), &status, 0) < 0 && errno == EINTR) continue;
  reaped_ = true;
  if (WIFEXITED(status)) finished.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) finished.signal = WTERMSIG(status);
  return finished;
}

Finished run(Command command) { return Program(std::move(command)).wait(); }

}  // namespace bulkhead::support
