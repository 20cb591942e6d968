#include "e2e/neighbour.hpp"
#include "support/mounts.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;

namespace {

// As with hidepid= (proc(5)), where a user does not see processes that may not be traced: nothing tells who it is but
// the kernel's handle.
class Hidden {
 public:
  explicit Hidden(std::int64_t pid) : folder_("/proc/" + std::to_string(pid)) { support::Mounts::small(folder_, 4096); }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
  // What is mounted there goes with the process.
  ~Hidden() {
    if (std::filesystem::exists(folder_)) support::Mounts::unmount(folder_);
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace

TEST_CASE("I3, F04: a leader that /proc does not show is not taken for dead, and is ended") {
  if (const auto why = support::Mounts::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const HostUnderTest host(GENERATE(Containment::strongest, Containment::process_group));
  const Neighbour neighbour(host);
  host.run_vm(host.process("p", {"deaf", "say", "ready"}));
  const auto leader = host.leader("p");
  const Hidden hidden(leader);
  kill_hard(host.agent("p"));
  CHECK(host.state("p") == "running");
  CHECK(host.ok({"stop", "--force", "p"}).at("outcome") == "stopped");
  CHECK_FALSE(support::alive(leader));
  neighbour.noticed_nothing();
}
