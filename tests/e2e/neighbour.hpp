#pragma once

#include <signal.h>

#include "e2e/host_under_test.hpp"

namespace bulkhead::e2e {

// kill -9, and it is dead.
inline void kill_hard(std::int64_t pid) {
  REQUIRE(pid > 1);
  REQUIRE(::kill(static_cast<pid_t>(pid), SIGKILL) == 0);
  REQUIRE(eventually([&] { return !support::alive(pid); }));
}

// A VM that must not notice what happens to others.
class Neighbour {
 public:
  explicit Neighbour(const HostUnderTest& host) : host_(host) {
    host.run_vm(HostUnderTest::firmware("neighbour"));
    daemon_ = host.daemon();
    leader_ = host.leader("neighbour");
    agent_ = host.agent("neighbour");
    boot_ = host.boot_of("neighbour");
  }
  void noticed_nothing() const {
    CHECK(host_.daemon() == daemon_);
    noticed_no_crash();
  }
  void noticed_no_crash() const {
    CHECK(host_.state("neighbour") == "running");
    CHECK(host_.leader("neighbour") == leader_);
    CHECK(host_.agent("neighbour") == agent_);
    CHECK(support::alive(leader_));
    CHECK(support::alive(agent_));
    CHECK(host_.boot_of("neighbour") == boot_);
  }

 private:
  const HostUnderTest& host_;
  std::int64_t daemon_ = 0;
  std::int64_t leader_ = 0;
  std::int64_t agent_ = 0;
  std::string boot_;
};

}  // namespace bulkhead::e2e
