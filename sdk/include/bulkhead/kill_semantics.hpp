// bulkhead/kill_semantics.hpp: names and consistency of declared kill semantics (C++20).
//
// consistent() is the one function that decides whether a declaration makes sense. It runs in the driver's own build
// (static_assert in BULKHEAD_DRIVER), when a manifest is read, and when a driver is loaded.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "bulkhead/driver.h"

namespace bulkhead {

// One declared value and its name in driver.json, in logs and on the command line.
struct NamedValue {
  std::uint32_t value;
  std::string_view name;
};

inline constexpr std::array process_model_names{NamedValue{BULKHEAD_MODEL_IN_AGENT, "in_agent"},
                                                NamedValue{BULKHEAD_MODEL_CHILD, "child"},
                                                NamedValue{BULKHEAD_MODEL_EXTERNAL_SERVICE, "external_service"}};
inline constexpr std::array process_group_names{NamedValue{BULKHEAD_GROUP_OWN, "own"},
                                                NamedValue{BULKHEAD_GROUP_AGENT, "agent"},
                                                NamedValue{BULKHEAD_GROUP_NONE, "none"}};
inline constexpr std::array helpers_names{NamedValue{BULKHEAD_HELPERS_NONE, "none"},
                                          NamedValue{BULKHEAD_HELPERS_IN_GROUP, "in_group"},
                                          NamedValue{BULKHEAD_HELPERS_ESCAPE, "escape"}};
inline constexpr std::array containment_names{NamedValue{BULKHEAD_CONTAIN_GROUP, "group"},
                                              NamedValue{BULKHEAD_CONTAIN_TREE, "tree"},
                                              NamedValue{BULKHEAD_CONTAIN_DEATH_LINK, "death_link"}};
inline constexpr std::array graceful_names{NamedValue{BULKHEAD_GRACEFUL_NONE, "none"},
                                           NamedValue{BULKHEAD_GRACEFUL_GUEST_ACPI, "guest_acpi"},
                                           NamedValue{BULKHEAD_GRACEFUL_GUEST_AGENT, "guest_agent"},
                                           NamedValue{BULKHEAD_GRACEFUL_SIGNAL, "signal"},
                                           NamedValue{BULKHEAD_GRACEFUL_API, "api"},
                                           NamedValue{BULKHEAD_GRACEFUL_COMMAND, "command"}};
inline constexpr std::array forced_names{
    NamedValue{BULKHEAD_FORCED_KILL_GROUP, "kill_group"}, NamedValue{BULKHEAD_FORCED_KILL_TREE, "kill_tree"},
    NamedValue{BULKHEAD_FORCED_KILL_AGENT, "kill_agent"}, NamedValue{BULKHEAD_FORCED_DRIVER_CALL, "driver_call"},
    NamedValue{BULKHEAD_FORCED_COMMAND, "command"}};
inline constexpr std::array blast_radius_names{NamedValue{BULKHEAD_RADIUS_PROCESS, "process"},
                                               NamedValue{BULKHEAD_RADIUS_VM, "vm"},
                                               NamedValue{BULKHEAD_RADIUS_SERVICE, "service"}};
inline constexpr std::array agent_death_names{NamedValue{BULKHEAD_AGENT_DEATH_VM_DIES, "vm_dies"},
                                              NamedValue{BULKHEAD_AGENT_DEATH_VM_SURVIVES, "vm_survives"}};
inline constexpr std::array offline_names{
    NamedValue{BULKHEAD_OFFLINE_CORE, "core"}, NamedValue{BULKHEAD_OFFLINE_COMMAND, "command"},
    NamedValue{BULKHEAD_OFFLINE_REAP_AGENT, "reap_agent"}, NamedValue{BULKHEAD_OFFLINE_IMPOSSIBLE, "impossible"}};
inline constexpr std::array recover_names{NamedValue{BULKHEAD_RECOVER_NONE, "none"},
                                          NamedValue{BULKHEAD_RECOVER_STATUS_ONLY, "status_only"},
                                          NamedValue{BULKHEAD_RECOVER_FULL, "full"}};
inline constexpr std::array disk_safety_names{NamedValue{BULKHEAD_DISK_LOSES_CACHE, "loses_cache"},
                                              NamedValue{BULKHEAD_DISK_CRASH_CONSISTENT, "crash_consistent"},
                                              NamedValue{BULKHEAD_DISK_FLUSHED, "flushed"}};

// "" when the value is not one of the names: an undeclared or unknown claim.
template <class Names>
constexpr std::string_view name_of(const Names& names, std::uint32_t value) {
  for (const NamedValue& n : names) {
    if (n.value == value) return n.name;
  }
  return {};
}

// 0 when the name is unknown.
template <class Names>
constexpr std::uint32_t value_of(const Names& names, std::string_view name) {
  for (const NamedValue& n : names) {
    if (n.name == name) return n.value;
  }
  return 0;
}

// True, or throws a `const char*` that says which rule is broken; in a constant expression that text is in the
// compiler's error message.
constexpr bool consistent(const bulkhead_kill_semantics& k) {
  if (name_of(process_model_names, k.process_model).empty()) throw "process_model must be declared";
  if (name_of(process_group_names, k.process_group).empty()) throw "process_group must be declared";
  if (name_of(helpers_names, k.helpers).empty()) throw "helpers must be declared";
  if (name_of(graceful_names, k.graceful).empty()) throw "graceful must be declared";
  if (name_of(forced_names, k.forced).empty()) throw "forced must be declared";
  if (name_of(blast_radius_names, k.forced_blast_radius).empty()) throw "forced_blast_radius must be declared";
  if (name_of(agent_death_names, k.on_agent_death).empty()) throw "on_agent_death must be declared";
  if (name_of(offline_names, k.offline_stop).empty()) throw "offline_stop must be declared";
  if (name_of(recover_names, k.recover).empty()) throw "recover must be declared";
  if (name_of(disk_safety_names, k.disk_safety).empty()) throw "disk_safety must be declared";
  if ((k.containment & ~7u) != 0) throw "containment has an unknown flag";

  if (k.graceful != BULKHEAD_GRACEFUL_NONE && k.graceful_timeout_ms == 0)
    throw "graceful stop needs graceful_timeout_ms";
  if (k.forced_deadline_ms == 0) throw "forced stop needs forced_deadline_ms";

  const bool in_agent = k.process_model == BULKHEAD_MODEL_IN_AGENT;
  const bool child = k.process_model == BULKHEAD_MODEL_CHILD;
  const bool external = k.process_model == BULKHEAD_MODEL_EXTERNAL_SERVICE;
  const bool dies = k.on_agent_death == BULKHEAD_AGENT_DEATH_VM_DIES;
  if (in_agent && k.process_group != BULKHEAD_GROUP_AGENT) throw "in_agent needs process_group=agent";
  if (in_agent && k.forced != BULKHEAD_FORCED_DRIVER_CALL && k.forced != BULKHEAD_FORCED_KILL_AGENT)
    throw "in_agent needs forced=driver_call or kill_agent";
  if (in_agent && !dies) throw "in_agent needs on_agent_death=vm_dies";
  if (child && k.forced != BULKHEAD_FORCED_KILL_GROUP && k.forced != BULKHEAD_FORCED_KILL_TREE)
    throw "child needs forced=kill_group or kill_tree";
  if (k.forced == BULKHEAD_FORCED_KILL_GROUP && k.process_group != BULKHEAD_GROUP_OWN)
    throw "kill_group needs process_group=own";
  if (k.helpers == BULKHEAD_HELPERS_ESCAPE &&
      (k.forced != BULKHEAD_FORCED_KILL_TREE || (k.containment & BULKHEAD_CONTAIN_TREE) == 0))
    throw "helpers=escape needs forced=kill_tree and containment=tree";
  if (external && k.process_group != BULKHEAD_GROUP_NONE) throw "external_service needs process_group=none";
  if (external && k.forced != BULKHEAD_FORCED_DRIVER_CALL && k.forced != BULKHEAD_FORCED_COMMAND)
    throw "external_service needs forced=driver_call or command";
  if (external && k.offline_stop == BULKHEAD_OFFLINE_CORE)
    throw "external_service cannot have offline_stop=core: the core cannot kill what it does not contain";
  const bool command = k.graceful == BULKHEAD_GRACEFUL_COMMAND || k.forced == BULKHEAD_FORCED_COMMAND ||
                       k.offline_stop == BULKHEAD_OFFLINE_COMMAND;
  if (command && (k.stop_argv == nullptr || k.stop_argv[0] == nullptr)) throw "command needs stop_argv";
  if (!dies && k.recover == BULKHEAD_RECOVER_NONE)
    throw "vm_survives needs recover: else the VM is an orphan by design";
  if (dies && k.agent_death_grace_ms == 0) throw "vm_dies needs agent_death_grace_ms";
  if (dies && child && (k.containment & BULKHEAD_CONTAIN_DEATH_LINK) == 0)
    throw "vm_dies with a child process needs containment=death_link";
  return true;
}

}  // namespace bulkhead
