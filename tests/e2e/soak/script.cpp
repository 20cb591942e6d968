#include "e2e/soak/script.hpp"

#include <algorithm>
#include <array>

namespace bulkhead::e2e::soak {

namespace {

using std::chrono::milliseconds;

struct Likelihood {
  Deed deed;
  const char* name;
  std::size_t weight;
};

constexpr std::array likelihoods{Likelihood{Deed::start, "start", 30},
                                 Likelihood{Deed::stop, "stop", 12},
                                 Likelihood{Deed::force, "stop --force", 10},
                                 Likelihood{Deed::remove, "remove --force", 3},
                                 Likelihood{Deed::start_and_stop, "start, and stop", 5},
                                 Likelihood{Deed::stop_and_force, "stop, and stop --force", 5},
                                 Likelihood{Deed::start_and_force, "start, and stop --force", 5},
                                 Likelihood{Deed::power_off, "the guest powers off", 4},
                                 Likelihood{Deed::kill_qemu, "kill -9 QEMU", 6},
                                 Likelihood{Deed::kill_agent, "kill -9 agent", 6},
                                 Likelihood{Deed::kill_agent_and_qemu, "kill -9 agent and QEMU", 4},
                                 Likelihood{Deed::kill_daemon, "kill -9 daemon", 5},
                                 Likelihood{Deed::kill_daemon_and_agent, "kill -9 daemon and agent", 3},
                                 Likelihood{Deed::kill_daemon_and_all_agents, "kill -9 daemon and all agents", 1},
                                 Likelihood{Deed::keep_vms, "host stop --keep-vms", 2},
                                 Likelihood{Deed::host_stop, "host stop", 1}};

const Likelihood& entry(Deed deed) {
  return *std::ranges::find_if(likelihoods, [deed](const Likelihood& one) { return one.deed == deed; });
}

}  // namespace

const char* name(Deed deed) { return entry(deed).name; }

bool ends_the_daemon(Deed deed) {
  return deed == Deed::kill_daemon || deed == Deed::kill_daemon_and_agent || deed == Deed::kill_daemon_and_all_agents ||
         deed == Deed::keep_vms || deed == Deed::host_stop;
}

bool is_for_the_host(Deed deed) { return ends_the_daemon(deed) && deed != Deed::kill_daemon_and_agent; }

bool touches_its_vm(Deed deed) { return deed != Deed::kill_agent && !ends_the_daemon(deed); }

std::vector<Action> Script::next_round() {
  std::size_t all = 0;
  for (const Likelihood& one : likelihoods) all += one.weight;
  const std::size_t count = 1 + below(std::max<std::size_t>(3, vms_ / 2));
  const bool at_once = below(2) == 0;
  std::vector<Action> round;
  while (round.size() < count) {
    std::size_t drawn = below(all);
    const auto* one = likelihoods.begin();
    for (; drawn >= one->weight; ++one) drawn -= one->weight;
    const std::size_t vm = below(vms_);
    const milliseconds grace{100 + below(600)};
    const milliseconds pause{below(150)};
    round.push_back({.deed = one->deed, .vm = vm, .grace = grace, .before = at_once ? milliseconds{0} : pause});
  }
  return round;
}

}  // namespace bulkhead::e2e::soak
