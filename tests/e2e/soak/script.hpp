#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace bulkhead::e2e::soak {

enum class Deed {
  start,
  stop,
  force,
  remove,  // by force
  start_and_stop,
  stop_and_force,
  start_and_force,
  power_off,  // by the guest itself
  kill_qemu,
  kill_agent,
  kill_agent_and_qemu,
  kill_daemon,
  kill_daemon_and_agent,
  kill_daemon_and_all_agents,
  keep_vms,   // the host is stopped, the VMs go on
  host_stop,  // with its VMs
};
const char* name(Deed deed);
// True: it may end or begin QEMUs of its VM.
bool touches_its_vm(Deed deed);
// True: the daemon does not live through it.
bool ends_the_daemon(Deed deed);
// True: it knows no VM.
bool is_for_the_host(Deed deed);

struct Action {
  Deed deed{};
  std::size_t vm = 0;                  // its number; of no meaning for what is done to the host
  std::chrono::milliseconds grace{};   // of a stop
  std::chrono::milliseconds before{};  // what passes before it, so that it hits another moment of what goes on
};

// What is done depends on the seed and the number of VMs only, never on what came of it: the same seed tells the same
// story again, as far as the machine lets it.
class Script {
 public:
  Script(std::uint64_t seed, std::size_t vms) : random_(seed), vms_(vms) {}
  // Done without waiting for each other; then there is quiet.
  std::vector<Action> next_round();

 private:
  std::size_t below(std::size_t end) { return random_() % end; }
  std::mt19937_64 random_;
  std::size_t vms_;
};

}  // namespace bulkhead::e2e::soak
