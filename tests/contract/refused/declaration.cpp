// Compiles as it is. With -DFIELD=... and -DVALUE=... one claim is changed; the test expects that to be refused.
#include "bulkhead/driver.hpp"

namespace {

class Plain : public bulkhead::Driver {
 public:
  Plain(bulkhead::Host host, const bulkhead::Op&) : Driver(host) {}
  static void probe(bulkhead::Host, const bulkhead::Op&) {}
  void start(const bulkhead::Op&) override {}
  void inspect(const bulkhead::Op&) override {}
};

constexpr bulkhead_kill_semantics kill_semantics = [] {
  bulkhead_kill_semantics k{};
  k.size = sizeof k;
  k.process_model = BULKHEAD_MODEL_CHILD;
  k.process_group = BULKHEAD_GROUP_OWN;
  k.helpers = BULKHEAD_HELPERS_NONE;
  k.containment = BULKHEAD_CONTAIN_GROUP;
  k.graceful = BULKHEAD_GRACEFUL_SIGNAL;
  k.graceful_timeout_ms = 10'000;
  k.forced = BULKHEAD_FORCED_KILL_TREE;
  k.forced_deadline_ms = 5'000;
  k.forced_blast_radius = BULKHEAD_RADIUS_VM;
  k.on_agent_death = BULKHEAD_AGENT_DEATH_VM_SURVIVES;
  k.offline_stop = BULKHEAD_OFFLINE_CORE;
  k.recover = BULKHEAD_RECOVER_FULL;
  k.disk_safety = BULKHEAD_DISK_CRASH_CONSISTENT;
#ifdef FIELD
  k.FIELD = VALUE;
#endif
  return k;
}();
constexpr bulkhead_descriptor descriptor = [] {
  bulkhead_descriptor d{};
  d.size = sizeof d;
  d.kill = &kill_semantics;
  return d;
}();

}  // namespace

BULKHEAD_DRIVER(Plain, descriptor);
