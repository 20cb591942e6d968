#include "bulkhead/driver.hpp"

#include "qemu/machine.hpp"

namespace bulkhead::qemu {
namespace {

constexpr char schema[] =
#include "config_schema.inc"
    ;

constexpr const char* artifact_kinds[] = {"unix_socket", "log", nullptr};
constexpr const char* extensions[] = {nullptr};

constexpr bulkhead_kill_semantics kill_semantics{
    .size = sizeof(bulkhead_kill_semantics),
    .process_model = BULKHEAD_MODEL_CHILD,
    .process_group = BULKHEAD_GROUP_OWN,
    .helpers = BULKHEAD_HELPERS_NONE,
    .containment = BULKHEAD_CONTAIN_GROUP,
    .graceful = BULKHEAD_GRACEFUL_GUEST_ACPI,
    .graceful_timeout_ms = 30'000,
    .forced = BULKHEAD_FORCED_KILL_TREE,
    .forced_deadline_ms = 5'000,
    .forced_blast_radius = BULKHEAD_RADIUS_VM,
    .on_agent_death = BULKHEAD_AGENT_DEATH_VM_SURVIVES,
    .agent_death_grace_ms = 0,
    .offline_stop = BULKHEAD_OFFLINE_CORE,
    .recover = BULKHEAD_RECOVER_FULL,
    .disk_safety = BULKHEAD_DISK_CRASH_CONSISTENT,
    .reserved = 0,
    .artifact_kinds = artifact_kinds,
    .stop_argv = nullptr,
};

constexpr bulkhead_descriptor descriptor{
    .size = sizeof(bulkhead_descriptor),
    .abi_major = BULKHEAD_ABI_MAJOR,
    .abi_minor = BULKHEAD_ABI_MINOR,
    .abi_minor_min = 0,
    .id = "org.bulkhead.qemu",
    .name = "QEMU",
    .vendor = "bulkhead",
    .version = "0.1.0",
    .url = "https://www.qemu.org",
    .license = "Apache-2.0",
    .state_version = SavedState::version,
    .state_version_min = SavedState::version,
    .config_schema = schema,
    .extensions = extensions,
    .kill = &kill_semantics,
};

}  // namespace
}  // namespace bulkhead::qemu

BULKHEAD_DRIVER(bulkhead::qemu::Machine, bulkhead::qemu::descriptor);
