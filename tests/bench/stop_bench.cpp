// From the forced stop of a tree of processes to the proof that it is gone, beside the kernel's own means, in one run.
// BULKHEAD_ROUNDS: how often (5).
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <signal.h>

#include "base/ids.hpp"
#include "contain/cgroup.hpp"
#include "e2e/host_under_test.hpp"
#include "os/born.hpp"

using namespace bulkhead;
using namespace bulkhead::e2e;

namespace {

struct Shape {
  const char* action;
  const char* name;
};
constexpr Shape shapes[] = {{"fork", "all in one process group"},
                            {"crowd", "each in its own session, deaf, daemonised"}};
constexpr int sizes[] = {10, 100, 1000};

int rounds() {
  const char* const wanted = std::getenv("BULKHEAD_ROUNDS");
  return wanted != nullptr ? std::max(1, std::atoi(wanted)) : 5;
}

double ms_of(const std::function<void()>& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

struct Measured {
  std::vector<double> times{};
  std::size_t left = 0;  // processes that were alive afterwards, in all rounds

  void print(const std::string& label) {
    std::ranges::sort(times);
    std::printf("  %-44s %9.1f ms   (%.1f to %.1f, n=%zu)%s\n", label.c_str(), times[times.size() / 2], times.front(),
                times.back(), times.size(),
                left == 0 ? "" : ("   LEFT ALIVE: " + std::to_string(left / times.size()) + " each time").c_str());
    std::fflush(stdout);
  }
};

void kill_group(const Shape& shape, int size, Measured& measured) {
  const support::Nursery nursery;
  const os::Process leader = nursery.start({shape.action, std::to_string(size), "say", "ready"});
  REQUIRE(nursery.says("ready"));
  const auto group = static_cast<pid_t>(-leader.identity().pid);
  measured.times.push_back(ms_of([&] {
    ::kill(group, SIGKILL);
    while (::kill(group, 0) == 0 || errno != ESRCH) os::reap_exited();
  }));
  measured.left += support::census(nursery.mark()).size();
  support::end_all(nursery.mark());
  REQUIRE(support::childless());
}

void kill_cgroup(const Shape& shape, int size, Measured& measured) {
  const auto base = contain::Cgroup::base();
  REQUIRE(base);
  const contain::Cgroup group(*base / ("bench-" + RunId::random().str()));
  REQUIRE(group.create());
  {
    const support::Nursery nursery;
    os::Spawn spawn = nursery.child({shape.action, std::to_string(size), "say", "ready"});
    const auto entrance = group.entrance();
    REQUIRE(entrance);
    spawn.cgroup = entrance->get();
    support::Nursery::start(spawn);
    REQUIRE(nursery.says("ready"));
    measured.times.push_back(ms_of([&] {
      REQUIRE(group.kill());
      while (group.occupancy() != contain::Cgroup::Occupancy::empty) continue;
    }));
    measured.left += support::census(nursery.mark()).size();
    REQUIRE(support::childless());
  }
  REQUIRE(group.remove());
}

void stop_vm(const HostUnderTest& host, const std::string& name, Measured& measured) {
  host.start(name);
  REQUIRE(host.console_says(name, "ready"));
  const std::string run = host.run_of(name);
  Json report;
  measured.times.push_back(ms_of([&] { report = host.ok({"stop", "--force", name}); }));
  REQUIRE(report.at("outcome") == "stopped");
  measured.left += host.members(run).size();
  std::filesystem::remove(host.vm_directory(name) / "console.log");
}

void bench_vm(const Shape& shape, int size, Containment containment) {
  const HostUnderTest host(containment);
  host.create(HostUnderTest::process("bench", {shape.action, std::to_string(size), "say", "ready"}));
  Measured measured;
  for (int i = 0; i < rounds(); ++i) stop_vm(host, "bench", measured);
  measured.print("bulkhead stop --force, " + wished(containment));
}

}  // namespace

TEST_CASE("from the forced stop to the proof") {
  for (const Shape& shape : shapes) {
    for (const int size : sizes) {
      std::printf("%d processes, %s\n", size, shape.name);
      Measured group;
      Measured cgroup;
      for (int i = 0; i < rounds(); ++i) {
        kill_group(shape, size, group);
        kill_cgroup(shape, size, cgroup);
      }
      group.print("kill(-pgid) until the group is gone");
      cgroup.print("cgroup.kill until populated 0");
      for (const Containment containment :
           {Containment::cgroup, Containment::pid_namespace, Containment::process_group}) {
        bench_vm(shape, size, containment);
      }
    }
  }
}
