// A driver whose VM is any program, and which misbehaves as its options say. It declares that its helpers stay in the
// group; what the program really does is the test's choice.
#include "bulkhead/driver.hpp"

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using bulkhead::Op;
using bulkhead::Status;
using nlohmann::json;

constexpr char schema[] =
#include "config_schema.inc"
    ;

// Built twice: the other one says that what its VM starts may leave the group.
#ifdef TEST_DRIVER_OF_TREES
constexpr const char* id = "org.bulkhead.test.tree";
constexpr auto helpers = BULKHEAD_HELPERS_ESCAPE;
constexpr auto containment = BULKHEAD_CONTAIN_TREE;
constexpr auto forced = BULKHEAD_FORCED_KILL_TREE;
#else
constexpr const char* id = "org.bulkhead.test.process";
constexpr auto helpers = BULKHEAD_HELPERS_IN_GROUP;
constexpr auto containment = BULKHEAD_CONTAIN_GROUP;
constexpr auto forced = BULKHEAD_FORCED_KILL_GROUP;
#endif

constexpr const char* artifact_kinds[] = {"log", "unix_socket", nullptr};
constexpr const char* extensions[] = {nullptr};

constexpr bulkhead_kill_semantics kill_semantics{
    .size = sizeof(bulkhead_kill_semantics),
    .process_model = BULKHEAD_MODEL_CHILD,
    .process_group = BULKHEAD_GROUP_OWN,
    .helpers = helpers,
    .containment = containment,
    .graceful = BULKHEAD_GRACEFUL_SIGNAL,
    .graceful_timeout_ms = 10'000,
    .forced = forced,
    .forced_deadline_ms = 5'000,
    .forced_blast_radius = BULKHEAD_RADIUS_VM,
    .on_agent_death = BULKHEAD_AGENT_DEATH_VM_SURVIVES,
    .agent_death_grace_ms = 0,
    .offline_stop = BULKHEAD_OFFLINE_CORE,
    .recover = BULKHEAD_RECOVER_STATUS_ONLY,
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
    .id = id,
    .name = "Process",
    .vendor = "bulkhead",
    .version = "0.1.0",
    .url = "https://example.org",
    .license = "Apache-2.0",
    .state_version = 1,
    .state_version_min = 1,
    .config_schema = schema,
    .extensions = extensions,
    .kill = &kill_semantics,
};

class ProcessDriver final : public bulkhead::Driver {
 public:
  ProcessDriver(bulkhead::Host host, const Op& op) : Driver(host), options_(json::parse(op.args()).at("options")) {}

  static void probe(bulkhead::Host, const Op& op) { op.reply(R"({"health":"healthy"})"); }

  void start(const Op& op) override {
    const std::string log = host().artifact(op, "log", "console", R"({"persistent":true})");
    host().artifact(op, "unix_socket", "never-made");
    json argv{options_.at("program")};
    for (const json& argument : options_.value("arguments", json::array())) argv.push_back(argument);
    const json spec{{"role", "leader"}, {"argv", argv}, {"stdout", log}, {"stderr", log}};
    leader_ = host().spawn(op, spec.dump());
    if (options_.contains("helper")) start_helper(op, log);
    if (options_.value("on_start", "ok") == "fork" && ::fork() == 0) {
      ::setsid();
      for (;;) ::pause();
    }
    misbehave(options_.value("on_start", "ok"));
    op.reply(json{{"console", {{"log", log}}}}.dump());
  }

  void stop(const Op& op) override {
    const std::string behaviour = options_.value("on_stop", "obey");
    misbehave(behaviour);
    if (behaviour == "obey") leader_.signal(SIGTERM);
    if (behaviour == "obey" && helper_) helper_.signal(SIGTERM);
    while (!leader_.wait(50ms)) {
      if (op.remaining() == 0ms) throw Status(BULKHEAD_DEADLINE, "the process did not end");
    }
  }

  void inspect(const Op& op) override {
    const bool running = leader_ && !leader_.wait(0ms);
    op.reply(running ? R"({"state":"running"})" : R"({"state":"stopped"})");
  }

 private:
  void start_helper(const Op& op, const std::string& log) {
    const std::string socket = host().artifact(op, "unix_socket", "helper");
    json argv{options_.at("program"), "listen", socket};
    for (const json& argument : options_.at("helper")) argv.push_back(argument);
    const json spec{{"role", "helper"}, {"argv", argv}, {"stdout", log}, {"stderr", log}};
    helper_ = host().spawn(op, spec.dump());
  }

  static void misbehave(const std::string& behaviour) {
    if (behaviour == "hang") {
      for (;;) std::this_thread::sleep_for(1h);
    }
    if (behaviour == "crash") {
      std::signal(SIGSEGV, SIG_DFL);
      std::raise(SIGSEGV);
    }
    if (behaviour == "throw") throw 42;  // NOLINT(hicpp-exception-baseclass): what a careless driver may do
    if (behaviour == "exit") std::exit(0);
    if (behaviour == "fail") throw Status(BULKHEAD_RESOURCE, "the moon is full", R"({"hint":"wait for a day"})");
  }

  json options_;
  bulkhead::Child leader_;
  bulkhead::Child helper_;
};

}  // namespace

BULKHEAD_DRIVER(ProcessDriver, descriptor);
