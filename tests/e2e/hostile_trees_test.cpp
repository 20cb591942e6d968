#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

// The containment itself, again and again, through the whole host: BULKHEAD_REPEAT rounds, crowds of BULKHEAD_CROWD.
// `./dev soak` runs it with large numbers.
namespace {

int number_from(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : otherwise;
}

const int repeat = number_from("BULKHEAD_REPEAT", 3);
const int crowd = number_from("BULKHEAD_CROWD", 300);

// Everybody that can be found from outside, whichever way: what is looked for is not known to the host's code.
void nobody_is_there(const HostUnderTest& host, const std::string& run, std::int64_t agent) {
  CHECK(host.members(run) == std::vector<support::Seen>{});
  CHECK(host.left().size() == 1);  // the daemon
  CHECK(host.sockets_and_folders() == std::vector<std::string>{});
  CHECK_FALSE(support::alive(agent));
  // To whom the orphans of a dead agent come; zombies may not have been looked at yet.
  for (const support::Seen& child : support::children_of(host.daemon())) CHECK_FALSE(support::alive(child.pid));
}

class Rounds {
 public:
  explicit Rounds(std::string shape) : shape_(std::move(shape)) {}
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;
  // For people: `./dev soak` shows these lines.
  ~Rounds() {
    if (times_.empty()) return;
    std::ranges::sort(times_);
    std::cout << "TREES " << shape_ << ": " << times_.size() << " of " << repeat << " stopped, in " << times_.front()
              << " / " << times_[times_.size() / 2] << " / " << times_.back() << " ms (least, median, most)"
              << std::endl;
  }

  // `grown`: how many there are at least when the VM has said that it is ready.
  void run(const Words& actions, std::size_t grown) {
    const HostUnderTest host(containments().front());
    for (int round = 1; round <= repeat; ++round) {
      CAPTURE(round);
      host.run_vm(host.process("p", actions));
      const std::string id = host.run_of("p");
      const auto agent = host.agent("p");
      REQUIRE(eventually([&] { return host.members(id).size() >= grown; }));
      const Json report = host.ok({"stop", "--force", "p"});
      CHECK(report.at("outcome") == "stopped");
      CHECK(report.at("survivors").empty());
      nobody_is_there(host, id, agent);
      times_.push_back(report.at("duration_ms"));
      host.ok({"remove", "p"});
    }
  }

 private:
  std::string shape_;
  std::vector<std::int64_t> times_{};
};

std::size_t crowd_and_leader() { return static_cast<std::size_t>(crowd) + 1; }

}  // namespace

TEST_CASE("F06: a crowd that left, deaf, is proved empty each time") {
  Rounds rounds("crowd of " + std::to_string(crowd));
  rounds.run({"deaf", "crowd", std::to_string(crowd), "say", "ready"}, crowd_and_leader());
}

TEST_CASE("F06: a crowd of which each has ended its first thread is proved empty each time") {
  Rounds rounds("crowd of " + std::to_string(crowd) + " without first threads");
  rounds.run({"deaf", "leaderless-crowd", std::to_string(crowd), "say", "ready"}, crowd_and_leader());
}

TEST_CASE("F07: a storm that left and starts the next as fast as it can is proved empty each time") {
  Rounds rounds("storm");
  rounds.run({"deaf", "comet", "4", "120", "/dev/null", "say", "ready"}, 2);
}
