// A whole driver with the C++ wrapper. Twice included on purpose.
#include "bulkhead/driver.hpp"
#include "bulkhead/driver.hpp"  // NOLINT(readability-duplicate-include)

namespace {

class Plain : public bulkhead::Driver {
 public:
  Plain(bulkhead::Host host, const bulkhead::Op& op) : Driver(host) { static_cast<void>(op.args()); }
  static void probe(bulkhead::Host, const bulkhead::Op& op) { op.reply(R"({"health":"healthy"})"); }
  void start(const bulkhead::Op& op) override {
    const auto path = host().artifact(op, "log", "console");
    const auto handle = host().lock(op, path);
    leader_ = host().spawn(op, "{}");
    host().save_state(op, "{}");
    host().emit("ready");
    host().log(BULKHEAD_LOG_INFO, "started with handle " + std::to_string(handle));
    op.progress(1000, "started");
  }
  void stop(const bulkhead::Op& op) override {
    leader_.signal(15);
    if (!leader_.wait(op.remaining())) throw bulkhead::Status(BULKHEAD_DEADLINE, "the guest ignored it");
  }
  void inspect(const bulkhead::Op& op) override { op.reply(R"({"state":"unknown"})"); }
  const void* extension(std::string_view) override { return nullptr; }

 private:
  bulkhead::Child leader_;
};

constexpr const char* no_texts[] = {nullptr};
constexpr bulkhead_kill_semantics kill_semantics{.size = sizeof(bulkhead_kill_semantics),
                                                 .process_model = BULKHEAD_MODEL_CHILD,
                                                 .process_group = BULKHEAD_GROUP_OWN,
                                                 .helpers = BULKHEAD_HELPERS_NONE,
                                                 .containment = BULKHEAD_CONTAIN_GROUP,
                                                 .graceful = BULKHEAD_GRACEFUL_SIGNAL,
                                                 .graceful_timeout_ms = 10'000,
                                                 .forced = BULKHEAD_FORCED_KILL_GROUP,
                                                 .forced_deadline_ms = 5'000,
                                                 .forced_blast_radius = BULKHEAD_RADIUS_VM,
                                                 .on_agent_death = BULKHEAD_AGENT_DEATH_VM_SURVIVES,
                                                 .agent_death_grace_ms = 0,
                                                 .offline_stop = BULKHEAD_OFFLINE_CORE,
                                                 .recover = BULKHEAD_RECOVER_STATUS_ONLY,
                                                 .disk_safety = BULKHEAD_DISK_LOSES_CACHE,
                                                 .reserved = 0,
                                                 .artifact_kinds = no_texts,
                                                 .stop_argv = nullptr};
constexpr bulkhead_descriptor descriptor{.size = sizeof(bulkhead_descriptor),
                                         .abi_major = BULKHEAD_ABI_MAJOR,
                                         .abi_minor = BULKHEAD_ABI_MINOR,
                                         .abi_minor_min = 0,
                                         .id = "org.example.plain",
                                         .name = "Plain",
                                         .vendor = "Example",
                                         .version = "1.0.0",
                                         .url = "https://example.org",
                                         .license = "Apache-2.0",
                                         .state_version = 1,
                                         .state_version_min = 1,
                                         .config_schema = "{}",
                                         .extensions = no_texts,
                                         .kill = &kill_semantics};

}  // namespace

BULKHEAD_DRIVER(Plain, descriptor);
