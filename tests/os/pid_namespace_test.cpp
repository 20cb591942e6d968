#include "os/pid_namespace.hpp"

#include <algorithm>
#include <fstream>
#include <unistd.h>

#include "contain/containment.hpp"
#include "os/born.hpp"
#include "os/process_table.hpp"
#include "support/unkillable.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

namespace {

// A namespace of the test's own, or none where this user or machine may not have one.
class Place {
 public:
  explicit Place(const Nursery& nursery) : nursery_(nursery) {
    if (const auto possible = os::PidNamespace::probe(); !possible) {
      why_not_ = possible.error().what;
      return;
    }
    os::reap_exited();  // of the trial
    os::Spawn spawn = nursery.child({});
    spawn.argv = {BULKHEAD_INIT};
    spawn.new_pid_namespace = true;
    init_ = Nursery::start(spawn);
    auto entered = os::PidNamespace::of(init_->identity().pid);
    REQUIRE(entered);
    namespace_ = *std::move(entered);
  }
  const std::string& why_not() const { return why_not_; }
  explicit operator bool() const { return init_.has_value(); }
  const os::Process& init() const { return *init_; }
  // The kernel lets the end of init be seen when its namespace is empty of zombies too: ours are reaped here.
  bool init_ends() const {
    return eventually([&] {
      os::reap_exited();
      return init_->exited();
    });
  }
  // Nothing but the namespace is known: no other identity, no mark, no guardian.
  contain::Known known() const {
    return {.run = RunId::random(), .recorded = {init_->identity()}, .init = init_->identity()};
  }

  os::Spawn child(std::vector<std::string> actions) const {
    os::Spawn spawn = nursery_.child(std::move(actions));
    spawn.pid_namespace = &*namespace_;
    return spawn;
  }
  os::Process start(std::vector<std::string> actions) const {
    os::Process process = Nursery::start(child(std::move(actions)));
    REQUIRE(nursery_.says("ready"));
    return process;
  }

 private:
  const Nursery& nursery_;
  std::string why_not_;
  std::optional<os::Process> init_;
  std::optional<os::PidNamespace> namespace_;
};

bool empty(const contain::Known& known) {
  const auto verdict = contain::kernel_verdict(known);
  REQUIRE(verdict);
  REQUIRE(verdict->has_value());
  return (*verdict)->empty;
}

}  // namespace

TEST_CASE("a child is born in its namespace as our own child, in the group that was asked for") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  const os::Process leader = place.start({"fork", "3", "daemonise", "say", "ready"});
  const auto pid = leader.identity().pid;
  CHECK(os::PidNamespace::id_of(pid) == os::PidNamespace::id_of(place.init().identity().pid));
  CHECK(os::PidNamespace::id_of(pid) != os::PidNamespace::id_of(::getpid()));
  CHECK(::getpgid(static_cast<pid_t>(pid)) == pid);
  const auto children = children_of(::getpid());
  CHECK(std::ranges::any_of(children, [&](const Seen& seen) { return seen.pid == pid; }));

  os::Spawn spawn = place.child({"say", "helped"});
  spawn.place = os::Spawn::Place::group_of;
  spawn.group = pid;
  const os::Process helper = Nursery::start(spawn);
  CHECK(::getpgid(static_cast<pid_t>(helper.identity().pid)) == pid);

  const auto members = contain::members(place.known());
  REQUIRE(members);
  CHECK(members->size() == 7);
}

TEST_CASE("F06: nothing leaves its namespace, whatever it closes, clears or ends of itself") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  place.start({"deaf", "nameless-daemon", "threaded-daemon", "daemonise", "fork", "4", "say", "ready"});
  const auto members = contain::members(place.known());
  REQUIRE(members);
  CHECK(members->size() == 9);
  CHECK_FALSE(empty(place.known()));
  const auto swept = contain::sweep(place.known(), in_good_time());
  CHECK(swept.survivors.empty());
  CHECK(swept.ended.size() == 9);
  CHECK(empty(place.known()));
  CHECK(place.init_ends());
  CHECK(empty(place.known()));
  CHECK(census(nursery.mark()).empty());
  for (const contain::Member& member : *members) CHECK_FALSE(alive(member.identity.pid));
}

TEST_CASE("F06: who made a namespace of its own inside is waited for, also when only its init is known") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  const os::Process leader = place.start({"deaf", "nested-namespace", "say", "ready"});
  std::int64_t nested = 0;
  const auto is_nested = [&](const Seen& seen) {
    return seen.pid != leader.identity().pid && seen.pid != place.init().identity().pid && seen.state == 'S';
  };
  REQUIRE(eventually([&] {
    for (const Seen& seen : children_of(::getpid())) {
      if (is_nested(seen)) nested = seen.pid;
    }
    const auto mark = os::environment_value(nested, "TEST_MARK");
    return nested != 0 && mark && !*mark;
  }));
  REQUIRE(os::PidNamespace::id_of(nested) != os::PidNamespace::id_of(leader.identity().pid));
  const auto members = contain::members(place.known());
  REQUIRE(members);
  CHECK(members->size() == 3);
  HeldAtExit held(nested);
  const auto swept = contain::sweep(place.known(), Clock::now() + milliseconds{300});
  CHECK(alive(nested));
  CHECK_FALSE(empty(place.known()));
  REQUIRE(swept.survivors.size() == 1);
  CHECK(swept.survivors.front().identity.pid == nested);
  held.let_go();
  CHECK(contain::sweep(place.known(), in_good_time()).survivors.empty());
  CHECK_FALSE(alive(nested));
}

TEST_CASE("a member whose first thread has ended dies with its namespace") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  const os::Process leader = place.start({"say", "ready", "end-first-thread"});
  REQUIRE(eventually([&] { return state_of(leader.identity().pid) == 'Z'; }));
  REQUIRE(alive(leader.identity().pid));
  CHECK(contain::sweep(place.known(), in_good_time()).survivors.empty());
  CHECK_FALSE(alive(leader.identity().pid));
}

TEST_CASE("a zombie whose parent does not look does not keep a namespace from being proved empty") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  const os::Process leader = place.start({"say", "ready"});  // its parent, this test, does not look
  const auto swept = contain::sweep(place.known(), in_good_time());
  CHECK(swept.survivors.empty());
  CHECK(state_of(leader.identity().pid) == 'Z');
  CHECK_FALSE(place.init().exited());
  CHECK(empty(place.known()));
  CHECK(place.init_ends());
}

TEST_CASE("F07: a storm in a namespace is ended, with its init alone") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  place.start({"storm", "4", "30", "say", "ready"});
  REQUIRE(place.init().signal(os::Signal::kill));
  CHECK(place.init_ends());
  // That end was the proof: no further look is needed.
  CHECK(census(nursery.mark()).empty());
  CHECK(empty(place.known()));
}

TEST_CASE("the init of a namespace does not end by polite signals, nor by those from inside") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  for (const os::Signal signal : {os::Signal::terminate, os::Signal::interrupt, os::Signal::hang_up}) {
    CHECK(place.init().signal(signal));
  }
  place.start({"kill", "1", "say", "ready"});
  CHECK_FALSE(place.init().wait(Clock::now() + milliseconds{50}));
}

TEST_CASE("nothing is born in a namespace whose init is dead") {
  const Nursery nursery;
  const Place place(nursery);
  if (!place) SKIP_BECAUSE(place.why_not());
  REQUIRE(place.init().signal(os::Signal::kill));
  REQUIRE(place.init().wait(in_good_time()));
  const auto process = os::spawn(place.child({"say", "ran"}), [](const os::Identity&) { return Result<void>{}; });
  REQUIRE_FALSE(process);
  CHECK(process.error().what.find("start a process in the pid namespace") != std::string::npos);
  CHECK(nursery.said().empty());
}

TEST_CASE("I2: a ledger that calls a process of our own namespace an init does not make all of it members") {
  const Nursery nursery;
  const os::Process innocent = Nursery::start(nursery.child({"say", "ready"}));
  const os::Process taken_for_init = Nursery::start(nursery.child({}));
  const auto members = contain::members({.run = RunId::random(), .init = taken_for_init.identity()});
  REQUIRE(members);
  CHECK(members->empty());
}

TEST_CASE("I2: a sweep of a namespace touches nobody outside it, nor in another one") {
  const Nursery nursery;
  const Nursery others;
  const Place place(nursery);
  const Place other(others);
  if (!place) SKIP_BECAUSE(place.why_not());
  place.start({"fork", "2", "say", "ready"});
  const os::Process neighbour = other.start({"say", "ready"});
  const Nursery outside;
  const os::Process bystander = outside.start({"say", "ready"});
  CHECK(contain::sweep(place.known(), in_good_time()).survivors.empty());
  CHECK(place.init_ends());
  CHECK(census(nursery.mark()).empty());
  CHECK(alive(neighbour.identity().pid));
  CHECK(alive(other.init().identity().pid));
  CHECK(alive(bystander.identity().pid));
}
