#include "contain/cgroup.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contain/containment.hpp"
#include "os/born.hpp"
#include "os/file.hpp"

using namespace bulkhead;
using namespace bulkhead::support;
namespace fs = std::filesystem;

namespace {

// A cgroup of the test's own, or none where this user or machine has none to give.
class Place {
 public:
  Place() {
    const auto base = contain::Cgroup::base();
    if (!base) {
      why_not_ = base.error().what;
      return;
    }
    path_ = *base / ("test-" + RunId::random().str());
    REQUIRE(group().create());
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (path_.empty()) return;
    static_cast<void>(group().kill());
    eventually([&] { return group().remove().has_value(); });
  }
  const std::string& why_not() const { return why_not_; }
  explicit operator bool() const { return !path_.empty(); }
  contain::Cgroup group() const { return contain::Cgroup(path_); }
  const fs::path& path() const { return path_; }

  os::Process start(const Nursery& nursery, std::vector<std::string> actions) const {
    const auto entrance = group().entrance();
    REQUIRE(entrance);
    os::Spawn spawn = nursery.child(std::move(actions));
    spawn.cgroup = entrance->get();
    os::Process process = Nursery::start(spawn);
    REQUIRE(nursery.says("ready"));
    return process;
  }
  // The kernel's own word.
  bool populated() const { return read_text(path_ / "cgroup.events").find("populated 1") != std::string::npos; }

 private:
  std::string why_not_;
  fs::path path_;
};

}  // namespace

TEST_CASE("a child is born in its cgroup and so is all that comes of it") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"fork", "3", "daemonise", "say", "ready"});
  const auto pids = place.group().pids();
  REQUIRE(pids);
  CHECK(pids->size() == 5);
  CHECK(std::ranges::find(*pids, leader.identity().pid) != pids->end());
  for (const Seen& seen : census(nursery.mark())) CHECK(std::ranges::find(*pids, seen.pid) != pids->end());
  CHECK(place.group().occupancy() == contain::Cgroup::Occupancy::populated);
  CHECK_FALSE(place.group().remove());
}

TEST_CASE("a killed cgroup is empty by the kernel's word and can be removed") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  place.start(nursery, {"deaf", "fork", "10", "daemonise", "say", "ready"});
  REQUIRE(place.group().kill());
  CHECK(eventually([&] { return !place.populated(); }));
  CHECK(place.group().occupancy() == contain::Cgroup::Occupancy::empty);
  CHECK(census(nursery.mark()).empty());
  CHECK(place.group().remove());
  CHECK_FALSE(fs::exists(place.path()));
  CHECK(place.group().pids() == std::vector<std::int64_t>{});
}

TEST_CASE("a member whose first thread has ended keeps its cgroup populated and a sweep ends it") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"say", "ready", "end-first-thread"});
  REQUIRE(eventually([&] { return state_of(leader.identity().pid) == 'Z'; }));
  REQUIRE(alive(leader.identity().pid));
  CHECK(place.group().occupancy() == contain::Cgroup::Occupancy::populated);
  // Nothing but the cgroup is known: no identity, no mark.
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  const auto swept = contain::sweep(known, in_good_time());
  CHECK(swept.survivors.empty());
  CHECK_FALSE(alive(leader.identity().pid));
  CHECK_FALSE(place.populated());
}

TEST_CASE("a sweep ends members that only their cgroup betrays, in groups below it too, and nobody else") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const Nursery bystanders;
  const os::Process bystander = bystanders.start({"say", "ready"});
  fs::create_directory(place.path() / "below");
  place.start(nursery, {"nameless-daemon", "fork", "2", "say", "ready"});
  {
    const contain::Cgroup below(place.path() / "below");
    const auto entrance = below.entrance();
    REQUIRE(entrance);
    os::Spawn spawn = nursery.child({"say", "deeper"});
    spawn.cgroup = entrance->get();
    Nursery::start(spawn);
    REQUIRE(nursery.says("deeper"));
  }
  REQUIRE(eventually([&] {
    const auto pids = place.group().pids();
    return pids && pids->size() == 5;
  }));
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  const auto members = contain::members(known);
  REQUIRE(members);
  CHECK(members->size() == 5);
  for (const contain::Member& m : *members) CHECK(m.found_by == "cgroup");
  const auto swept = contain::sweep(known, in_good_time());
  CHECK(swept.survivors.empty());
  CHECK_FALSE(place.populated());
  CHECK(place.group().remove());
  CHECK(alive(bystander.identity().pid));
}

namespace {

bool sweep_ends(const Place& place, const os::Process& leader) {
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  const auto swept = contain::sweep(known, in_good_time());
  INFO(swept.obstacle);
  CHECK(swept.survivors.empty());
  CHECK_FALSE(place.populated());
  CHECK(contain::members(known).has_value());
  return !alive(leader.identity().pid);
}

// Each in the one before, with names as long as they may be: from the second ten on, no path is short enough.
void nest(const fs::path& path, int levels) {
  const std::string name(200, 'd');
  os::UniqueHandle at(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int level = 0; level < levels; ++level) {
    REQUIRE(::mkdirat(static_cast<int>(at.get()), name.c_str(), S_IRWXU) == 0);
    at = os::UniqueHandle(::openat(static_cast<int>(at.get()), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(at);
  }
}

}  // namespace

TEST_CASE("F06: a cgroup in which a member made a threaded one, whose processes are not told, is ended and removed") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"deaf", "say", "ready"});
  fs::create_directory(place.path() / "below");
  write_text(place.path() / "below" / "cgroup.type", "threaded");
  write_text(place.path() / "below" / "cgroup.threads", std::to_string(leader.identity().pid));
  REQUIRE_FALSE(os::read_file(place.path() / "below" / "cgroup.procs"));
  const auto pids = contain::Cgroup(place.path() / "below").pids();
  REQUIRE(pids);
  CHECK(*pids == std::vector{leader.identity().pid});
  CHECK(sweep_ends(place, leader));
  CHECK(place.group().remove());
  CHECK_FALSE(fs::exists(place.path()));
}

TEST_CASE("F06: cgroups nested deeper than a path can be long are looked into, ended and removed") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"deaf", "say", "ready"});
  nest(place.path(), 40);
  CHECK(place.group().pids() == std::vector{leader.identity().pid});
  CHECK(sweep_ends(place, leader));
  CHECK(place.group().remove());
  CHECK_FALSE(fs::exists(place.path()));
}

TEST_CASE("F06: who is in a cgroup that cannot be looked into is ended all the same") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"deaf", "say", "ready"});
  nest(place.path(), 300);
  REQUIRE_FALSE(place.group().pids());
  CHECK(sweep_ends(place, leader));
  CHECK_FALSE(place.group().remove());
  const std::string first = (place.path() / std::string(200, 'd')).string();
  for (int level = 300; level > 0; --level) {
    os::UniqueHandle at(::open(first.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (int down = 2; down < level; ++down) {
      at = os::UniqueHandle(::openat(static_cast<int>(at.get()), std::string(200, 'd').c_str(), O_PATH | O_CLOEXEC));
    }
    if (level > 1) CHECK(::unlinkat(static_cast<int>(at.get()), std::string(200, 'd').c_str(), AT_REMOVEDIR) == 0);
  }
}

TEST_CASE("F06: a member that takes the permissions of its cgroup away is ended") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"deaf", "say", "ready"});
  fs::create_directory(place.path() / "below");
  for (const char* entry : {"below", "cgroup.procs", "cgroup.kill", "cgroup.events", "cgroup.type", "."}) {
    fs::permissions(place.path() / entry, fs::perms::none);
  }
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  CHECK(contain::sweep(known, in_good_time()).survivors.empty());
  CHECK_FALSE(alive(leader.identity().pid));
  CHECK(place.group().remove());
}

TEST_CASE("F07: a storm in a cgroup is ended") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  place.start(nursery, {"storm", "4", "30", "say", "ready"});
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  CHECK(contain::sweep(known, in_good_time()).survivors.empty());
  CHECK_FALSE(place.populated());
  CHECK(census(nursery.mark()).empty());
}

TEST_CASE("a stopped or frozen member is ended with its cgroup") {
  const Place place;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  const os::Process leader = place.start(nursery, {"say", "ready"});
  write_text(place.path() / "cgroup.freeze", "1");
  REQUIRE(eventually([&] { return read_text(place.path() / "cgroup.events").find("frozen 1") != std::string::npos; }));
  const contain::Known known{.run = RunId::random(), .cgroup = place.path().string()};
  CHECK(contain::sweep(known, in_good_time()).survivors.empty());
  CHECK_FALSE(alive(leader.identity().pid));
}

TEST_CASE("kernel trap: a child lives in a cgroup that was killed before, and beside a parent that lives in one") {
  // clone3 with CLONE_INTO_CGROUP would kill it at birth in both cases (Linux 6.18).
  const Place place;
  const Place fresh;
  if (!place) SKIP_BECAUSE(place.why_not());
  const Nursery nursery;
  REQUIRE(place.group().kill());
  const os::Process reborn = place.start(nursery, {"say", "ready"});
  CHECK(alive(reborn.identity().pid));

  const auto home = contain::Cgroup::base();
  REQUIRE(home);
  const contain::Cgroup back(home->parent_path());
  write_text(place.path() / "cgroup.procs", "0");
  const Nursery others;
  os::Spawn spawn = others.child({"say", "ready"});
  const auto entrance = fresh.group().entrance();
  REQUIRE(entrance);
  spawn.cgroup = entrance->get();
  const os::Process child = Nursery::start(spawn);
  const bool ready = others.says("ready");
  write_text(back.path() / "cgroup.procs", "0");
  CHECK(ready);
  CHECK(fresh.populated());
}

TEST_CASE("a cgroup that cannot be entered is named as the step that failed, and the program never runs") {
  const Nursery nursery;
  const os::UniqueHandle not_a_cgroup(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  os::Spawn spawn = nursery.child({"say", "ran"});
  spawn.cgroup = not_a_cgroup.get();
  const auto process = os::spawn(spawn, [](const os::Identity&) { return Result<void>{}; });
  REQUIRE_FALSE(process);
  CHECK(process.error().what.find("enter the cgroup: ") != std::string::npos);
  CHECK(nursery.said().empty());
}
