#include <algorithm>
#include <array>
#include <cstring>
#include <signal.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

// A service manager's end of sd_notify(3).
class Manager {
 public:
  explicit Manager(fs::path path)
      : path_(std::move(path)), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() { ::close(fd_); }
  const fs::path& path() const { return path_; }

  // All that it was told, the oldest first.
  const Words& told() {
    std::array<char, 512> text{};
    for (ssize_t size = 0; (size = ::recv(fd_, text.data(), text.size(), 0)) >= 0;) {
      told_.emplace_back(text.data(), static_cast<std::size_t>(size));
    }
    return told_;
  }
  std::ptrdiff_t times(const std::string& message) { return std::ranges::count(told(), message); }
  // True: it is told this, at least so many times.
  bool hears(const std::string& message, std::ptrdiff_t at_least = 1) {
    return eventually([&] { return times(message) >= at_least; });
  }

 private:
  fs::path path_;
  int fd_;
  Words told_;
};

support::Command daemon_command(const HostUnderTest& host, Words words = {}) {
  return host.command(program_path("bulkheadd"), std::move(words));
}

support::Command managed_by(const Manager& manager, support::Command command) {
  command.env["NOTIFY_SOCKET"] = manager.path().string();
  return command;
}

void write_settings(const HostUnderTest& host, Json settings) {
  fs::create_directory(host.home());
  fs::permissions(host.home(), fs::perms::owner_all);
  settings["version"] = 1;
  support::write_text(host.home() / "host.json", settings.dump());
}

std::string log_of(const HostUnderTest& host) { return support::read_text(host.home() / "bulkheadd.log"); }

bool log_says(const HostUnderTest& host, const std::string& text) {
  return eventually([&] { return contains(log_of(host), text); });
}

bool answers(const HostUnderTest& host, const Program& daemon) {
  return eventually([&] {
    const Finished status = host.bulkhead({"host", "status", "--json"});
    return status.code == 0 && Json::parse(status.out).at("pid") == daemon.pid();
  });
}

void end(const HostUnderTest& host, Program& daemon) {
  CHECK(host.bulkhead({"host", "stop"}).code == 0);
  CHECK(daemon.wait().code == 0);
}

// Its arguments and environment, one to a line.
std::string words_of(std::int64_t pid, const char* which) {
  std::string text = support::read_text("/proc/" + std::to_string(pid) + "/" + which);
  std::ranges::replace(text, '\0', '\n');
  return text;
}

// unix(7): the flag of a socket that listens is the one that /proc shows.
bool somebody_listens(const fs::path& socket) {
  std::istringstream lines(support::read_text("/proc/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with(" " + socket.string()) && contains(line, " 00010000 ")) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a service manager is told when the daemon is ready, that it lives, and when it ends") {
  const HostUnderTest host;
  Manager manager(host.folder() / "notify");
  support::Command command = managed_by(manager, daemon_command(host));
  command.env["WATCHDOG_USEC"] = "100000";
  Program daemon(std::move(command));
  REQUIRE(manager.hears("READY=1"));
  CHECK(host.daemon() == daemon.pid());
  CHECK(manager.hears("WATCHDOG=1", 5));
  CHECK(manager.times("STOPPING=1") == 0);

  host.run_vm(host.process("p", {"say", "ready"}));
  for (const std::int64_t pid : {host.agent("p"), host.leader("p")}) {
    const std::string environment = words_of(pid, "environ");
    CHECK(contains(environment, "BULKHEAD_RUN="));
    CHECK_FALSE(contains(environment, "NOTIFY_SOCKET="));
    CHECK_FALSE(contains(environment, "WATCHDOG_"));
  }
  daemon.signal(SIGTERM);
  CHECK(manager.hears("STOPPING=1"));
  CHECK(daemon.wait().code == 0);
  const Words& told = manager.told();
  CHECK(std::ranges::find(told, "READY=1") < std::ranges::find(told, "STOPPING=1"));
  CHECK(manager.times("READY=1") == 1);
}

TEST_CASE("the daemon is ready only when it has adopted what runs") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  const std::int64_t leader = host.leader("p");
  const auto first = static_cast<pid_t>(host.daemon());
  REQUIRE(::kill(first, SIGKILL) == 0);
  REQUIRE(eventually([&] { return !support::alive(first); }));
  Manager manager(host.folder() / "notify");
  Program daemon(managed_by(manager, daemon_command(host)));
  REQUIRE(manager.hears("READY=1"));
  CHECK(host.state("p") == "running");
  CHECK(host.leader("p") == leader);
  CHECK(host.daemon() == daemon.pid());
  CHECK(host.bulkhead({"host", "stop"}).code == 0);
  CHECK(manager.hears("STOPPING=1"));
  CHECK(daemon.wait().code == 0);
}

TEST_CASE("SIGHUP reads host.json again: what can change does, and nothing ends") {
  const HostUnderTest host;
  write_settings(host, {{"log", {{"level", "warning"}}}});
  Manager manager(host.folder() / "notify");
  Program daemon(managed_by(manager, daemon_command(host)));
  REQUIRE(manager.hears("READY=1"));
  CHECK(log_of(host).empty());
  host.run_vm(host.process("before", {"say", "ready"}));
  CHECK(contains(words_of(host.agent("before"), "cmdline"), "--log-level\nwarning\n"));

  write_settings(host, {{"log", {{"level", "debug"}}}, {"containment", "cgroup"}});
  daemon.signal(SIGHUP);
  REQUIRE(log_says(host, R"("applied":["/log/level"],"needs_restart":["/containment"])"));
  CHECK(manager.hears("READY=1", 2));
  const Words& told = manager.told();
  CHECK(std::ranges::any_of(told, [](const auto& t) { return t.starts_with("RELOADING=1\nMONOTONIC_USEC="); }));
  host.run_vm(host.process("after", {"say", "ready"}));
  CHECK(contains(words_of(host.agent("after"), "cmdline"), "--log-level\ndebug\n"));
  CHECK(log_says(host, "'after' is running"));

  support::write_text(host.home() / "host.json", R"({"version": 1, "log": {"level": "loud"}, "idle": "1s"})");
  daemon.signal(SIGHUP);
  CHECK(log_says(host, "/log/level: \"loud\" is not one of"));
  CHECK(log_says(host, "/idle: unknown key 'idle'"));
  CHECK(manager.hears("READY=1", 3));
  host.run_vm(host.process("later", {"say", "ready"}));
  CHECK(contains(words_of(host.agent("later"), "cmdline"), "--log-level\ndebug\n"));
  for (const char* name : {"before", "after", "later"}) CHECK(host.state(name) == "running");
  CHECK(host.daemon() == daemon.pid());
  end(host, daemon);
}

TEST_CASE("the log level of the command line goes before BULKHEAD_LOG_LEVEL, and that before host.json") {
  const HostUnderTest host;
  write_settings(host, {{"log", {{"level", "error"}}}});
  for (const bool by_command_line : {true, false}) {
    support::Command command = daemon_command(host);
    command.env["BULKHEAD_LOG_LEVEL"] = by_command_line ? "error" : "info";
    if (by_command_line) command.arguments = {"--log-level", "info"};
    fs::remove(host.home() / "bulkheadd.log");
    Program daemon(std::move(command));
    REQUIRE(answers(host, daemon));
    CHECK(contains(log_of(host), " info ready"));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().code == 0);
  }
}

TEST_CASE("a host.json that is wrong is refused with all that is wrong, before anything is begun") {
  const HostUnderTest host;
  write_settings(host, {{"log", {{"level", "debgu"}}}, {"stop_timeout", 7}, {"idle_exti", "10m"}});
  const Finished refused = support::run(daemon_command(host));
  INFO(refused.err);
  CHECK(refused.code == 3);
  CHECK(contains(refused.err, "host.json': 3 problems"));
  CHECK(contains(refused.err, "/log/level: \"debgu\" is not one of"));
  CHECK(contains(refused.err, "did you mean \"debug\"?"));
  CHECK(contains(refused.err, "/stop_timeout: expected string, got number 7"));
  CHECK(contains(refused.err, "did you mean 'idle_exit'?"));
  CHECK_FALSE(fs::exists(host.home() / "host.lock"));
  const Finished by_client = host.bulkhead({"host", "start"});
  CHECK(by_client.code != 0);
  CHECK(contains(by_client.err, "/log/level: \"debgu\""));
  fs::remove(host.home() / "host.json");
}

TEST_CASE("the daemon's log is rotated, and takes no more than host.json allows") {
  const HostUnderTest host;
  write_settings(host, {{"log", {{"max_size", "64KiB"}, {"keep", 1}}}});
  Program daemon(daemon_command(host));
  REQUIRE(answers(host, daemon));
  const std::string socket = host.ok({"host", "status"}).at("runtime_directory").get<std::string>() + "/host.sock";
  // Each is an error, and in the log.
  const Finished asked = support::run(host.command(
      "/usr/bin/curl", {"-s", "-o", "/dev/null", "--unix-socket", socket, "http://x/v1/vms/nobody-[1-2000]"}));
  REQUIRE(asked.code == 0);
  Words logs;
  for (const auto& entry : fs::directory_iterator(host.home())) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("bulkheadd") || name == "bulkheadd.stderr") continue;
    logs.push_back(name);
    CHECK(fs::file_size(entry) <= 64U << 10);
  }
  std::ranges::sort(logs);
  CHECK(logs == Words{"bulkheadd.1.log", "bulkheadd.log"});
  CHECK(contains(log_of(host), "nobody-2000"));
  CHECK_FALSE(contains(log_of(host), "nobody-1:"));
  host.run_vm(host.process("p", {"say", "ready"}));
  CHECK(contains(words_of(host.agent("p"), "cmdline"), "--log-max-size\n65536\n--log-keep\n1\n"));
  end(host, daemon);
}

TEST_CASE("with log.format json each line of the daemon's and the agents' logs is an object") {
  const HostUnderTest host;
  write_settings(host, {{"log", {{"format", "json"}, {"level", "debug"}}}});
  Program daemon(daemon_command(host));
  REQUIRE(answers(host, daemon));
  host.run_vm(host.process("p", {"say", "ready"}));
  CHECK(host.bulkhead({"stop", "p"}).code == 0);
  const auto objects = [](const fs::path& file) {
    std::istringstream lines(support::read_text(file));
    std::vector<Json> found;
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      found.push_back(Json::parse(line, nullptr, false));
      REQUIRE(found.back().is_object());
      CHECK(found.back().at("time").is_string());
      CHECK(found.back().at("message").is_string());
      CHECK(found.back().at("level").is_string());
    }
    return found;
  };
  const auto of_host = objects(host.home() / "bulkheadd.log");
  CHECK(std::ranges::any_of(of_host, [](const Json& line) { return line.at("message") == "ready"; }));
  const auto of_agent = objects(host.vm_directory("p") / "agent.log");
  REQUIRE_FALSE(of_agent.empty());
  for (const Json& line : of_agent) CHECK(line.at("vm") == "p");
  end(host, daemon);
}

TEST_CASE("a daemon with an idle limit ends by itself, but only when no VM runs") {
  const HostUnderTest host;
  Program daemon(daemon_command(host, {"--idle-exit", "1s"}));
  REQUIRE(answers(host, daemon));
  const fs::path end = host.folder() / "end";
  REQUIRE(::mkfifo(end.c_str(), 0600) == 0);
  host.run_vm(host.process("p", {"say", "ready", "until", end.string(), "exit", "0"}));
  const std::int64_t leader = host.leader("p");
  CHECK_FALSE(eventually(2500ms, [&] { return !support::alive(daemon.pid()); }));
  REQUIRE(support::alive(leader));
  support::write_text(end, "");
  const Finished ended = daemon.wait();
  CHECK(ended.code == 0);
  CHECK_FALSE(ended.late);
  CHECK_FALSE(support::alive(leader));
  CHECK(contains(log_of(host), "no VM runs and nobody asks: ending"));
}

TEST_CASE("a host stop takes no longer than stop_timeout, and leaves the VMs that are not stopped by then") {
  const HostUnderTest host;
  write_settings(host, {{"stop_timeout", "1s"}});
  Program daemon(daemon_command(host));
  REQUIRE(answers(host, daemon));
  Json deaf = host.process("p", {"deaf", "say", "ready"});
  deaf["stop"] = {{"grace_period", "1h"}};
  host.run_vm(deaf);
  const std::int64_t leader = host.leader("p");
  const auto begin = std::chrono::steady_clock::now();
  daemon.signal(SIGTERM);
  CHECK(daemon.wait().code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < support::generous);
  CHECK(support::alive(leader));
  CHECK(host.bulkhead({"stop", "--force", "p"}).code == 0);
  CHECK_FALSE(support::alive(leader));
}

TEST_CASE("a daemon that is started by its socket answers, and leaves the socket to who made it") {
  const fs::path activate = "/usr/bin/systemd-socket-activate";
  if (!fs::exists(activate)) SKIP_BECAUSE("systemd-socket-activate is not installed");
  const HostUnderTest host;
  CHECK(host.bulkhead({"host", "start"}).code == 0);
  const fs::path socket =
      fs::path(host.ok({"host", "status"}).at("runtime_directory").get<std::string>()) / "host.sock";
  CHECK(host.bulkhead({"host", "stop"}).code == 0);
  REQUIRE_FALSE(fs::exists(socket));

  support::Command command = daemon_command(host);
  Words words{"--listen=" + socket.string()};
  for (const auto& [key, value] : command.env) words.push_back("--setenv=" + key + "=" + value);
  words.push_back(command.program);
  command.program = activate.string();
  command.arguments = words;
  Program daemon(std::move(command));
  REQUIRE(eventually([&] { return somebody_listens(socket); }));
  host.run_vm(host.process("p", {"say", "ready"}));
  CHECK(host.daemon() == daemon.pid());
  CHECK_FALSE(contains(words_of(host.agent("p"), "environ"), "LISTEN_"));
  CHECK(host.bulkhead({"host", "stop"}).code == 0);
  CHECK(daemon.wait().code == 0);
  CHECK(fs::is_socket(socket));
  fs::remove(socket);
}

TEST_CASE("a daemon that is passed something else than its socket refuses it, and says what it looks for") {
  const HostUnderTest host;
  const auto started = [&](const std::string& redirect) {
    return support::run(host.command(
        "/bin/bash", {"-c", "exec 3" + redirect + "; LISTEN_FDS=1 LISTEN_PID=$$ exec " + program_path("bulkheadd")}));
  };
  const Finished file = started("</dev/null");
  CHECK(file.code == 3);
  CHECK(contains(file.err, "use the socket that the service manager passed: it is no socket"));
  const Finished nothing = started("<&-");
  CHECK(nothing.code == 3);
  CHECK(contains(nothing.err, "expected 1, got 1, of which 0 are open"));
}
