#include "os/born.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

TEST_CASE("a process is opened by its identity and found alive, signalled and seen to exit") {
  const Nursery nursery;
  const os::Process started = nursery.start({"say", "ready"});
  const auto opened = os::Process::open(started.identity());
  REQUIRE(opened);
  CHECK_FALSE(opened->exited());
  REQUIRE(opened->signal(os::Signal::kill));
  CHECK(opened->wait(in_good_time()));
  CHECK(opened->exited());
}

TEST_CASE("F12: a pid that is used again is gone, and its new owner is not signalled") {
  const Nursery nursery;
  const os::Process innocent = nursery.start({"say", "ready"});
  os::Identity recycled = innocent.identity();
  recycled.start_time -= 1;
  const auto opened = os::Process::open(recycled);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::gone);
  CHECK(alive(innocent.identity().pid));
}

TEST_CASE("C07: an identity of another boot is gone") {
  const Nursery nursery;
  const os::Process innocent = nursery.start({"say", "ready"});
  os::Identity earlier = innocent.identity();
  earlier.boot_id = "00000000-0000-0000-0000-000000000000";
  const auto opened = os::Process::open(earlier);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::gone);
}

TEST_CASE("F13: pids that may never be signalled are refused") {
  const auto self = os::Process::self();
  REQUIRE(self);
  for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{-4711}, INT64_MIN}) {
    os::Identity identity = *self;
    identity.pid = pid;
    CAPTURE(pid);
    const auto by_identity = os::Process::open(identity);
    REQUIRE_FALSE(by_identity);
    CHECK(by_identity.error().code == Code::invalid);
    const auto by_pid = os::Process::open_pid(pid);
    REQUIRE_FALSE(by_pid);
    CHECK(by_pid.error().code == Code::invalid);
  }
}

TEST_CASE("F13: a pid that does not fit the system's own type is not cut down to another one") {
  const Nursery nursery;
  const os::Process innocent = nursery.start({"say", "ready"});
  os::Identity wide = innocent.identity();
  wide.pid += std::int64_t{1} << 32;
  CHECK_FALSE(os::Process::open(wide));
  CHECK_FALSE(os::Process::open_pid(wide.pid));
}

TEST_CASE("a process that never was is gone") {
  const auto self = os::Process::self();
  REQUIRE(self);
  os::Identity nobody = *self;
  nobody.pid = 4'194'304;  // the largest pid there can be is one less
  const auto opened = os::Process::open(nobody);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::gone);
}

TEST_CASE("a zombie has exited") {
  const Nursery nursery;
  const os::Process child = nursery.start({"exit", "0"});
  REQUIRE(eventually([&] { return state_of(child.identity().pid) == 'Z'; }));
  CHECK(child.exited());
  const auto opened = os::Process::open(child.identity());
  CHECK_FALSE(opened);
  const auto signalled = child.signal(os::Signal::kill);
  CHECK((signalled || signalled.error().code == Code::gone));
}

TEST_CASE("a process whose first thread has ended, while another lives, has not exited and can be killed") {
  const Nursery nursery;
  const os::Process child = nursery.start({"say", "ready", "end-first-thread"});
  REQUIRE(eventually([&] { return state_of(child.identity().pid) == 'Z'; }));
  REQUIRE(alive(child.identity().pid));
  CHECK_FALSE(child.exited());
  const auto opened = os::Process::open(child.identity());
  REQUIRE(opened);
  CHECK_FALSE(opened->exited());
  REQUIRE(opened->signal(os::Signal::kill));
  CHECK(opened->wait(in_good_time()));
  CHECK(eventually([&] { return !alive(child.identity().pid); }));
}

TEST_CASE("a handle goes on meaning its process after that has been reaped") {
  const Nursery nursery;
  const os::Process child = nursery.start({"exit", "3"});
  REQUIRE(child.wait(in_good_time()));
  std::vector<os::Reaped> reaped;
  REQUIRE(eventually([&] {
    for (const os::Reaped& one : os::reap_exited()) {
      if (one.pid == child.identity().pid) reaped.push_back(one);
    }
    return !reaped.empty();
  }));
  REQUIRE(reaped.size() == 1);
  CHECK(reaped[0].pid == child.identity().pid);
  CHECK(reaped[0].code == 3);
  CHECK(child.exited());
  const auto signalled = child.signal(os::Signal::kill);
  REQUIRE_FALSE(signalled);
  CHECK(signalled.error().code == Code::gone);
}

TEST_CASE("reaping tells the signal that ended a child, and whether children are left") {
  REQUIRE(childless());
  const Nursery nursery;
  CHECK(os::children() == os::Children::none);
  const os::Process child = nursery.start({"say", "ready"});
  CHECK(os::children() == os::Children::some);
  REQUIRE(child.signal(os::Signal::kill));
  REQUIRE(child.wait(in_good_time()));
  CHECK(os::children() == os::Children::some);
  std::vector<os::Reaped> reaped;
  REQUIRE(eventually([&] {
    for (const os::Reaped& one : os::reap_exited()) reaped.push_back(one);
    return !reaped.empty();
  }));
  CHECK(reaped[0].signal == 9);
  CHECK(reaped[0].code == -1);
  CHECK(os::children() == os::Children::none);
}

TEST_CASE("a stopped process has not exited and dies by kill") {
  const Nursery nursery;
  const os::Process child = nursery.start({"say", "ready"});
  REQUIRE(nursery.says("ready"));
  REQUIRE(child.signal(os::Signal::stop));
  REQUIRE(eventually([&] { return state_of(child.identity().pid) == 'T'; }));
  CHECK_FALSE(child.wait(Clock::now() + milliseconds{50}));
  REQUIRE(child.signal(os::Signal::kill));
  CHECK(child.wait(in_good_time()));
}
