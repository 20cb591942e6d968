#include "contain/scope.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <unistd.h>

#include "os/paths.hpp"
#include "os/process.hpp"

namespace bulkhead::contain {

namespace {

// Set in the environment of the program that was restarted: once is enough.
constexpr const char* restarted_variable = "BULKHEAD_SCOPE";

std::vector<std::string> in_scope(const std::string& systemd_run, const std::vector<std::string>& command) {
  std::vector<std::string> argv{
      systemd_run, "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--description=bulkhead",
      "--"};
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

// Once with a program that does nothing: after execve there is no way back.
Result<void> try_it(const std::string& systemd_run) {
  os::Spawn spawn;
  TRY(const std::string nothing, os::find_program("true"));
  spawn.argv = in_scope(systemd_run, {nothing});
  for (const char* key : {"PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}) {
    if (auto value = os::environment(key)) spawn.env[key] = *std::move(value);
  }
  TRY(const os::Process process, os::spawn(spawn, [](const os::Identity&) { return Result<void>{}; }));
  constexpr milliseconds patience{5'000};
  if (!process.wait(Clock::now() + patience)) {
    CHECKED(process.signal(os::Signal::kill));
    return fail(Code::timed_out, "systemd-run does not answer");
  }
  for (const os::Reaped& reaped : os::reap_exited()) {
    if (reaped.pid != process.identity().pid || reaped.code == 0) continue;
    return fail(Code::unavailable, "systemd-run --user --scope fails with code " + std::to_string(reaped.code) +
                                       ": no systemd user manager serves this user");
  }
  return {};
}

}  // namespace

Error restart_in_scope(const std::vector<std::string>& argv) {
  if (os::environment(restarted_variable)) {
    return {.code = Code::unsupported, .what = "the scope that systemd gave is not delegated to this user"};
  }
  const auto systemd_run = os::find_program("systemd-run");
  if (!systemd_run) return {.code = Code::unsupported, .what = "there is no systemd-run to ask for a delegated scope"};
  if (const auto works = try_it(*systemd_run); !works) return works.error();
  std::vector<std::string> command = in_scope(*systemd_run, argv);
  std::vector<char*> pointers;
  pointers.reserve(command.size() + 1);
  for (std::string& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::setenv(restarted_variable, "1", 1);  // NOLINT(concurrency-mt-unsafe): there is one thread
  ::execv(systemd_run->c_str(), pointers.data());
  return {.code = Code::unavailable, .what = "run '" + *systemd_run + "': " + std::generic_category().message(errno)};
}

}  // namespace bulkhead::contain
