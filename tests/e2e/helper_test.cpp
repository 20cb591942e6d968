#include "e2e/neighbour.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

// A VM with a helper that listens on a socket, as virtiofsd or swtpm do. The QEMU driver starts none yet.
class VmWithHelper {
 public:
  VmWithHelper(const HostUnderTest& host, const Words& helper) : host_(host) {
    host.run_vm(host.process("p", {"say", "ready"}, {{"helper", helper}}));
    run_ = host.run_of("p");
    leader_ = host.leader("p");
    REQUIRE(eventually([&] { return fs::is_socket(socket()); }));
    for (const auto& seen : host.members(run_)) {
      if (seen.pid != leader_) helpers_.push_back(seen);
    }
    REQUIRE(helpers_.size() == 1);
    CHECK(helpers_[0].group == leader_);
  }
  fs::path socket() const {
    for (const std::string& path : host_.sockets_and_folders()) {
      if (fs::path(path).filename() == "helper.sock") return path;
    }
    return {};
  }
  std::int64_t leader() const { return leader_; }
  std::int64_t helper() const { return helpers_[0].pid; }
  void is_gone() const {
    CHECK_FALSE(support::alive(leader_));
    CHECK_FALSE(support::alive(helper()));
    CHECK(host_.members(run_) == std::vector<support::Seen>{});
    CHECK(host_.sockets_and_folders() == std::vector<std::string>{});
  }

 private:
  const HostUnderTest& host_;
  std::string run_;
  std::int64_t leader_ = 0;
  std::vector<support::Seen> helpers_;
};

Containment any_containment() { return GENERATE(from_range(containments())); }

}  // namespace

TEST_CASE("F16: a helper that obeys is ended with its VM and its socket is removed") {
  const HostUnderTest host(any_containment());
  const VmWithHelper vm(host, {});
  const Json report = host.ok({"stop", "p"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "ask");
  vm.is_gone();
}

TEST_CASE("F16: a helper that does not obey is forced and its socket is removed") {
  const HostUnderTest host;
  const VmWithHelper vm(host, {"deaf", "say", "deaf"});
  REQUIRE(host.console_says("p", "deaf"));
  const Json report = host.ok({"stop", "p"});
  CHECK(report.at("outcome") == "stopped");
  CHECK(report.at("rung") == "force");
  vm.is_gone();
}

TEST_CASE("F16: a helper is ended and its socket removed when the leader is killed") {
  const HostUnderTest host(any_containment());
  const VmWithHelper vm(host, {"deaf", "say", "deaf"});
  REQUIRE(host.console_says("p", "deaf"));
  kill_hard(vm.leader());
  REQUIRE(host.reaches("p", "failed"));
  vm.is_gone();
}

TEST_CASE("F16: a helper is ended and its socket removed when the agent is killed and the VM then stopped") {
  const HostUnderTest host(any_containment());
  const VmWithHelper vm(host, {"deaf", "say", "deaf"});
  REQUIRE(host.console_says("p", "deaf"));
  kill_hard(host.agent("p"));
  CHECK(support::alive(vm.leader()));
  CHECK(support::alive(vm.helper()));
  CHECK(fs::is_socket(vm.socket()));
  const Json report = host.ok({"stop", "p"});
  CHECK(report.at("outcome") == "stopped");
  vm.is_gone();
}

TEST_CASE("F16: a helper that dies leaves the VM running and its socket is removed at the stop") {
  const HostUnderTest host(any_containment());
  const VmWithHelper vm(host, {});
  kill_hard(vm.helper());
  CHECK(host.state("p") == "running");
  CHECK(support::alive(vm.leader()));
  CHECK(host.ok({"stop", "p"}).at("outcome") == "stopped");
  vm.is_gone();
}
