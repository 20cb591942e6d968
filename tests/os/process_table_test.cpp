#include "os/process_table.hpp"

#include <algorithm>
#include <unistd.h>

#include "os/born.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

TEST_CASE("a process whose name looks like the fields after it is read right") {
  const Nursery nursery;
  for (const char* name : {") (", "a) Z 1 (b", "tab\tnl\n)", "   "}) {
    const os::Process child = nursery.start({"name", name, "say", "ready"});
    REQUIRE(nursery.says("ready"));
    const auto info = os::process_info(child.identity().pid);
    REQUIRE(info);
    CHECK(info->name == name);
    CHECK(info->parent == ::getpid());
    CHECK(info->group == child.identity().pid);
    CHECK(info->session == ::getsid(0));
    CHECK(info->identity == child.identity());
    std::filesystem::remove(nursery.output());
  }
}

TEST_CASE("the table holds this process, its child, and tells a stopped one from a running one") {
  const Nursery nursery;
  const os::Process child = nursery.start({"say", "ready"});
  REQUIRE(nursery.says("ready"));
  REQUIRE(child.signal(os::Signal::stop));
  REQUIRE(eventually([&] { return state_of(child.identity().pid) == 'T'; }));
  const auto table = os::process_table();
  REQUIRE(table);
  const auto self = os::Process::self();
  REQUIRE(self);
  CHECK(std::ranges::any_of(*table, [&](const os::ProcessInfo& p) { return p.identity == *self; }));
  const auto found =
      std::ranges::find_if(*table, [&](const os::ProcessInfo& p) { return p.identity == child.identity(); });
  REQUIRE(found != table->end());
  CHECK(found->state == 'T');
  CHECK(found->parent == self->pid);
}

TEST_CASE("a process that does not exist is gone") {
  const auto info = os::process_info(4'194'304);
  REQUIRE_FALSE(info);
  CHECK(info.error().code == Code::gone);
}

TEST_CASE("a variable is found by its whole name only") {
  const Nursery nursery;
  os::Spawn spawn = nursery.child({"say", "ready"});
  spawn.env = {{"BULKHEAD_RUN_OTHER", "wrong"},
               {"NOT_BULKHEAD_RUN", "wrong"},
               {"BULKHEAD_RUN", "a=b"},
               {"TEST_MARK", nursery.mark()}};
  const os::Process child = Nursery::start(spawn);
  REQUIRE(nursery.says("ready"));
  CHECK(os::environment_value(child.identity().pid, "BULKHEAD_RUN").value() == "a=b");
  CHECK_FALSE(os::environment_value(child.identity().pid, "BULKHEAD").value().has_value());
  CHECK_FALSE(os::environment_value(4'194'304, "BULKHEAD_RUN").value().has_value());
}

TEST_CASE("a variable of a process whose first thread has ended is still found") {
  const Nursery nursery;
  const os::Process child = nursery.start({"say", "ready", "end-first-thread"});
  REQUIRE(eventually([&] { return state_of(child.identity().pid) == 'Z'; }));
  REQUIRE(alive(child.identity().pid));
  CHECK(os::environment_value(child.identity().pid, "TEST_MARK").value() == nursery.mark());
}
