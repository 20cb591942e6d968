#include <algorithm>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

#include "os/born.hpp"
#include "os/pipe.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

const os::BeforeExec agree = [](const os::Identity&) { return Result<void>{}; };

}  // namespace

TEST_CASE("arguments reach the program exactly as they were given") {
  const Nursery nursery;
  const std::vector<std::string> odd{"with space", "",  "\"quoted\" 'twice'", "$(touch x);`y`|&*?", "back\\slash",
                                     "-v",         "ä€"};
  os::Spawn spawn = nursery.child({"args"});
  spawn.argv.insert(spawn.argv.end(), odd.begin(), odd.end());
  REQUIRE(Nursery::start(spawn).wait(in_good_time()));
  CHECK(lines_of(nursery.said()) == odd);
}

TEST_CASE("the environment of a child is what was given and nothing else") {
  const Nursery nursery;
  os::Spawn spawn = nursery.child({"env", "exit", "0"});
  spawn.env = {{"EMPTY", ""}, {"ODD", "a=b c"}};
  REQUIRE(Nursery::start(spawn).wait(in_good_time()));
  auto lines = lines_of(nursery.said());
  std::ranges::sort(lines);
  CHECK(lines == std::vector<std::string>{"EMPTY=", "ODD=a=b c"});
}

TEST_CASE("a child works in the directory it was given") {
  const Nursery nursery;
  os::Spawn spawn = nursery.child({"cwd", "exit", "0"});
  spawn.cwd = nursery.folder().path().string();
  REQUIRE(Nursery::start(spawn).wait(in_good_time()));
  CHECK(lines_of(nursery.said()) == std::vector<std::string>{spawn.cwd});
}

TEST_CASE("only the standard streams and the handles that it inherits are open in a child") {
  const Nursery nursery;
  auto wanted = os::make_pipe();
  auto unwanted = os::make_pipe();
  REQUIRE((wanted && unwanted));
  const os::UniqueHandle leaky(::fcntl(static_cast<int>(unwanted->read.get()), F_DUPFD, 50));  // without close-on-exec
  os::Spawn spawn = nursery.child({"fds", "exit", "0"});
  spawn.inherit = {wanted->write.get()};
  REQUIRE(Nursery::start(spawn).wait(in_good_time()));
  auto lines = lines_of(nursery.said());
  std::ranges::sort(lines);
  std::vector<std::string> expected{"0", "1", "2", std::to_string(wanted->write.get())};
  std::ranges::sort(expected);
  CHECK(lines == expected);
}

TEST_CASE("output to a file is appended to it and is for its owner only") {
  const Nursery nursery;
  write_text(nursery.output(), "before\n");
  REQUIRE(nursery.start({"say", "after", "exit", "0"}).wait(in_good_time()));
  CHECK(nursery.said() == "before\nafter\n");

  std::filesystem::remove(nursery.output());
  REQUIRE(nursery.start({"say", "new", "exit", "0"}).wait(in_good_time()));
  CHECK(std::filesystem::status(nursery.output()).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("X03: output is not written through a symbolic link") {
  const Nursery nursery;
  write_text(nursery.folder() / "target", "mine");
  std::filesystem::create_symlink(nursery.folder() / "target", nursery.output());
  const auto process = os::spawn(nursery.child({"say", "no"}), agree);
  CHECK_FALSE(process);
  CHECK(read_text(nursery.folder() / "target") == "mine");
}

TEST_CASE("a missing program is not found, and nothing is started") {
  const Nursery nursery;
  for (const char* name : {"/nowhere/program", "no-such-program-anywhere"}) {
    os::Spawn spawn = nursery.child({});
    spawn.argv = {name};
    bool asked = false;
    const auto process = os::spawn(spawn, [&](const os::Identity&) {
      asked = true;
      return Result<void>{};
    });
    REQUIRE_FALSE(process);
    CHECK(process.error().code == Code::not_found);
    CHECK(process.error().what.find(name) != std::string::npos);
    CHECK_FALSE(asked);
  }
}

TEST_CASE("a program that cannot be executed says which step failed and why") {
  const Nursery nursery;
  write_text(nursery.folder() / "garbage",
             "\x7f"
             "ELF, but not really");
  std::filesystem::permissions(nursery.folder() / "garbage", std::filesystem::perms::owner_all);
  os::Spawn spawn = nursery.child({});
  spawn.argv = {(nursery.folder() / "garbage").string()};
  const auto process = os::spawn(spawn, agree);
  REQUIRE_FALSE(process);
  INFO(process.error().what);
  CHECK(process.error().what.find("garbage': execute: ") != std::string::npos);
}

TEST_CASE("a directory that is missing is named as the step that failed") {
  const Nursery nursery;
  os::Spawn spawn = nursery.child({});
  spawn.cwd = "/nowhere";
  const auto process = os::spawn(spawn, agree);
  REQUIRE_FALSE(process);
  CHECK(process.error().what.find("change directory: ") != std::string::npos);
}

TEST_CASE("a child is held until its identity is written down, and never runs when that fails") {
  const Nursery nursery;
  std::int64_t pid = 0;
  const auto process = os::spawn(nursery.child({"say", "ran"}), [&](const os::Identity& identity) -> Result<void> {
    pid = identity.pid;
    CHECK(alive(pid));
    CHECK(nursery.said().empty());
    return fail(Code::io, "write it down: the disk is full");
  });
  REQUIRE_FALSE(process);
  CHECK(process.error().what.find("the disk is full") != std::string::npos);
  REQUIRE(pid > 1);
  CHECK(eventually([&] { return !alive(pid); }));
  CHECK(nursery.said().empty());
}

TEST_CASE("a child is born in its own group, its own session, or the group of another") {
  const Nursery nursery;
  os::Spawn spawn = nursery.child({"say", "ready"});
  spawn.place = os::Spawn::Place::own_group;
  const os::Process leader = Nursery::start(spawn);
  const auto pid = leader.identity().pid;
  CHECK(::getpgid(static_cast<pid_t>(pid)) == pid);
  CHECK(::getsid(static_cast<pid_t>(pid)) == ::getsid(0));

  spawn.place = os::Spawn::Place::group_of;
  spawn.group = pid;
  const os::Process helper = Nursery::start(spawn);
  CHECK(::getpgid(static_cast<pid_t>(helper.identity().pid)) == pid);

  spawn.place = os::Spawn::Place::own_session;
  const os::Process session = Nursery::start(spawn);
  CHECK(::getsid(static_cast<pid_t>(session.identity().pid)) == session.identity().pid);
  CHECK(::getpgid(static_cast<pid_t>(session.identity().pid)) == session.identity().pid);
}

TEST_CASE("a child starts with default signals, whatever its parent ignores or blocks") {
  const Nursery nursery;
  const auto before = std::signal(SIGTERM, SIG_IGN);
  sigset_t blocked;
  sigset_t old;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old);
  const os::Process process = nursery.start({"say", "ready"});
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  std::signal(SIGTERM, before);
  REQUIRE(nursery.says("ready"));
  REQUIRE(process.signal(os::Signal::terminate));
  CHECK(process.wait(in_good_time()));
}
