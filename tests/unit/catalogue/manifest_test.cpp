#include "catalogue/manifest.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <string_view>

#include "bulkhead/kill_semantics.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using catalogue::describe;
using catalogue::parse_manifest;

namespace {

constexpr const char* argv[] = {"stopper", "{vm_id}", nullptr};
constexpr const char* kinds[] = {"unix_socket", "log", nullptr};
constexpr const char* extensions[] = {"org.example.thing/1", nullptr};

// One sound declaration per process model.
constexpr bulkhead_kill_semantics child{.size = sizeof(bulkhead_kill_semantics),
                                        .process_model = BULKHEAD_MODEL_CHILD,
                                        .process_group = BULKHEAD_GROUP_OWN,
                                        .helpers = BULKHEAD_HELPERS_IN_GROUP,
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
                                        .artifact_kinds = kinds,
                                        .stop_argv = nullptr};
constexpr bulkhead_kill_semantics in_agent = [] {
  bulkhead_kill_semantics k = child;
  k.process_model = BULKHEAD_MODEL_IN_AGENT;
  k.process_group = BULKHEAD_GROUP_AGENT;
  k.helpers = BULKHEAD_HELPERS_NONE;
  k.containment = BULKHEAD_CONTAIN_DEATH_LINK;
  k.graceful = BULKHEAD_GRACEFUL_API;
  k.forced = BULKHEAD_FORCED_DRIVER_CALL;
  k.on_agent_death = BULKHEAD_AGENT_DEATH_VM_DIES;
  k.agent_death_grace_ms = 3'000;
  k.recover = BULKHEAD_RECOVER_NONE;
  return k;
}();
constexpr bulkhead_kill_semantics external = [] {
  bulkhead_kill_semantics k = child;
  k.process_model = BULKHEAD_MODEL_EXTERNAL_SERVICE;
  k.process_group = BULKHEAD_GROUP_NONE;
  k.helpers = BULKHEAD_HELPERS_NONE;
  k.containment = 0;
  k.graceful = BULKHEAD_GRACEFUL_COMMAND;
  k.forced = BULKHEAD_FORCED_COMMAND;
  k.offline_stop = BULKHEAD_OFFLINE_COMMAND;
  k.stop_argv = argv;
  return k;
}();

bulkhead_descriptor descriptor_of(const bulkhead_kill_semantics& kill) {
  return {.size = sizeof(bulkhead_descriptor),
          .abi_major = BULKHEAD_ABI_MAJOR,
          .abi_minor = BULKHEAD_ABI_MINOR,
          .abi_minor_min = 0,
          .id = "org.example.vmm",
          .name = "Example",
          .vendor = "Example Ltd",
          .version = "1.2.3",
          .url = "https://example.org",
          .license = "Apache-2.0",
          .state_version = 2,
          .state_version_min = 1,
          .config_schema = "{}",
          .extensions = extensions,
          .kill = &kill};
}

Json manifest_of(const bulkhead_kill_semantics& kill) { return describe(descriptor_of(kill)).value(); }

Json changed(const char* pointer, Json value) {
  Json manifest = manifest_of(child);
  manifest[Json::json_pointer(pointer)] = std::move(value);
  return manifest;
}

Error refusal(const Json& manifest) {
  INFO(dump(manifest));
  const auto parsed = parse_manifest(manifest);
  REQUIRE_FALSE(parsed.has_value());
  return parsed.error();
}

struct Violation {
  const bulkhead_kill_semantics& sound;
  std::function<void(bulkhead_kill_semantics&)> change;
  std::string_view rule;
};

const std::vector<Violation>& violations() {
  using K = bulkhead_kill_semantics;
  static const std::vector<Violation> list{
      {child, [](K& k) { k.process_model = 0; }, "process_model must be declared"},
      {child, [](K& k) { k.process_group = 9; }, "process_group must be declared"},
      {child, [](K& k) { k.helpers = 0; }, "helpers must be declared"},
      {child, [](K& k) { k.graceful = 0; }, "graceful must be declared"},
      {child, [](K& k) { k.forced = 99; }, "forced must be declared"},
      {child, [](K& k) { k.forced_blast_radius = 0; }, "forced_blast_radius must be declared"},
      {child, [](K& k) { k.on_agent_death = 3; }, "on_agent_death must be declared"},
      {child, [](K& k) { k.offline_stop = 0; }, "offline_stop must be declared"},
      {child, [](K& k) { k.recover = 0; }, "recover must be declared"},
      {child, [](K& k) { k.disk_safety = 4; }, "disk_safety must be declared"},
      {child, [](K& k) { k.containment |= 8; }, "containment has an unknown flag"},
      {child, [](K& k) { k.graceful_timeout_ms = 0; }, "graceful stop needs graceful_timeout_ms"},
      {child, [](K& k) { k.forced_deadline_ms = 0; }, "forced stop needs forced_deadline_ms"},
      {in_agent, [](K& k) { k.process_group = BULKHEAD_GROUP_OWN; }, "in_agent needs process_group=agent"},
      {in_agent, [](K& k) { k.forced = BULKHEAD_FORCED_KILL_TREE; }, "in_agent needs forced=driver_call or kill_agent"},
      {in_agent,
       [](K& k) {
         k.on_agent_death = BULKHEAD_AGENT_DEATH_VM_SURVIVES;
         k.recover = BULKHEAD_RECOVER_FULL;
       },
       "in_agent needs on_agent_death=vm_dies"},
      {child, [](K& k) { k.forced = BULKHEAD_FORCED_DRIVER_CALL; }, "child needs forced=kill_group or kill_tree"},
      {child,
       [](K& k) {
         k.forced = BULKHEAD_FORCED_KILL_GROUP;
         k.process_group = BULKHEAD_GROUP_AGENT;
       },
       "kill_group needs process_group=own"},
      {child, [](K& k) { k.helpers = BULKHEAD_HELPERS_ESCAPE; },
       "helpers=escape needs forced=kill_tree and containment=tree"},
      {child,
       [](K& k) {
         k.helpers = BULKHEAD_HELPERS_ESCAPE;
         k.containment |= BULKHEAD_CONTAIN_TREE;
         k.forced = BULKHEAD_FORCED_KILL_GROUP;
       },
       "helpers=escape needs forced=kill_tree and containment=tree"},
      {external, [](K& k) { k.process_group = BULKHEAD_GROUP_OWN; }, "external_service needs process_group=none"},
      {external, [](K& k) { k.forced = BULKHEAD_FORCED_KILL_TREE; },
       "external_service needs forced=driver_call or command"},
      {external, [](K& k) { k.offline_stop = BULKHEAD_OFFLINE_CORE; },
       "external_service cannot have offline_stop=core: the core cannot kill what it does not contain"},
      {external, [](K& k) { k.stop_argv = nullptr; }, "command needs stop_argv"},
      {external, [](K& k) { k.stop_argv = argv + 2; }, "command needs stop_argv"},
      {child, [](K& k) { k.offline_stop = BULKHEAD_OFFLINE_COMMAND; }, "command needs stop_argv"},
      {child, [](K& k) { k.recover = BULKHEAD_RECOVER_NONE; },
       "vm_survives needs recover: else the VM is an orphan by design"},
      {in_agent, [](K& k) { k.agent_death_grace_ms = 0; }, "vm_dies needs agent_death_grace_ms"},
      {child,
       [](K& k) {
         k.on_agent_death = BULKHEAD_AGENT_DEATH_VM_DIES;
         k.agent_death_grace_ms = 1'000;
       },
       "vm_dies with a child process needs containment=death_link"}};
  return list;
}

constexpr std::string_view rules_source =
#include "kill_semantics.inc"
    ;

}  // namespace

TEST_CASE("a declaration of each process model is written and read without a change") {
  for (const auto* kill : {&child, &in_agent, &external}) {
    const Json manifest = manifest_of(*kill);
    const auto parsed = parse_manifest(Json::parse(dump(manifest)));
    REQUIRE(parsed.has_value());
    CHECK(parsed->id == "org.example.vmm");
    CHECK(parsed->name == "Example");
    CHECK(parsed->vendor == "Example Ltd");
    CHECK(parsed->version == "1.2.3");
    CHECK(parsed->license == "Apache-2.0");
    CHECK(parsed->document == manifest);
    bulkhead_kill_semantics expected = *kill;
    expected.artifact_kinds = nullptr;
    expected.stop_argv = nullptr;
    const bulkhead_kill_semantics& k = parsed->kill.declared;
    CHECK(k.process_model == expected.process_model);
    CHECK(k.process_group == expected.process_group);
    CHECK(k.helpers == expected.helpers);
    CHECK(k.containment == expected.containment);
    CHECK(k.graceful == expected.graceful);
    CHECK(k.graceful_timeout_ms == expected.graceful_timeout_ms);
    CHECK(k.forced == expected.forced);
    CHECK(k.forced_deadline_ms == expected.forced_deadline_ms);
    CHECK(k.forced_blast_radius == expected.forced_blast_radius);
    CHECK(k.on_agent_death == expected.on_agent_death);
    CHECK(k.agent_death_grace_ms == expected.agent_death_grace_ms);
    CHECK(k.offline_stop == expected.offline_stop);
    CHECK(k.recover == expected.recover);
    CHECK(k.disk_safety == expected.disk_safety);
    CHECK(k.artifact_kinds == nullptr);
    CHECK(k.stop_argv == nullptr);
    CHECK(parsed->kill.artifact_kinds == std::vector<std::string>{"unix_socket", "log"});
    const auto stop_argv =
        kill->stop_argv != nullptr ? std::vector<std::string>{"stopper", "{vm_id}"} : std::vector<std::string>{};
    CHECK(parsed->kill.stop_argv == stop_argv);
  }
}

TEST_CASE("a declaration that breaks one rule is refused with the text of that rule") {
  for (const Violation& v : violations()) {
    INFO(v.rule);
    bulkhead_kill_semantics kill = v.sound;
    v.change(kill);
    const auto described = describe(descriptor_of(kill));
    REQUIRE_FALSE(described.has_value());
    CHECK(described.error().code == Code::invalid);
    CHECK(described.error().what == "declared kill semantics: " + std::string(v.rule));
  }
}

TEST_CASE("there is no rule without a declaration here that breaks it") {
  std::set<std::string_view> broken;
  for (const Violation& v : violations()) broken.insert(v.rule);
  std::size_t rules = 0;
  constexpr std::string_view start = "throw \"";
  for (auto at = rules_source.find(start); at != std::string_view::npos; at = rules_source.find(start, at + 1)) {
    const std::string_view rule =
        rules_source.substr(at + start.size(), rules_source.find('"', at + start.size()) - at - start.size());
    INFO(rule);
    CHECK(broken.contains(rule));
    ++rules;
  }
  CHECK(rules > 20);
}

TEST_CASE("a manifest that contradicts itself is refused, as its driver would be") {
  Json manifest = changed("/kill/forced", "driver_call");
  CHECK(refusal(manifest).what == "declared kill semantics: child needs forced=kill_group or kill_tree");
  manifest = changed("/kill/offline_stop", "command");
  CHECK(refusal(manifest).what == "declared kill semantics: command needs stop_argv");
  manifest = changed("/kill/forced_deadline_ms", 0);
  CHECK(refusal(manifest).code == Code::invalid);
}

TEST_CASE("a value that this program does not know is a promise that it cannot keep") {
  for (const char* key : {"process_model", "process_group", "helpers", "graceful", "forced", "forced_blast_radius",
                          "on_agent_death", "offline_stop", "recover", "disk_safety"}) {
    INFO(key);
    const Error error = refusal(changed((std::string("/kill/") + key).c_str(), "teleport"));
    CHECK(error.code == Code::incompatible);
    CHECK(error.what == "read '" + std::string(key) + "': unknown value 'teleport'");
  }
  CHECK(refusal(changed("/kill/containment", {"group", "vault"})).code == Code::incompatible);
}

TEST_CASE("a declaration that is left out or of another type is refused") {
  const Json kill = manifest_of(child).at("kill");
  for (const auto& [key, unused] : kill.items()) {
    INFO(key);
    Json manifest = manifest_of(child);
    manifest["kill"].erase(key);
    CHECK(refusal(manifest).code == Code::invalid);
    for (const Json& value : {Json(), Json(true), Json::object(), Json::array({1})}) {
      CHECK(refusal(changed(("/kill/" + key).c_str(), value)).code == Code::invalid);
    }
  }
  // One word is not a list of one.
  CHECK(refusal(changed("/kill/containment", "group")).code == Code::invalid);
}

TEST_CASE("times outside of a day are refused") {
  for (const Json& value :
       {Json(-1), Json(86'400'001), Json(4294967296 + 5000), Json(18446744073709551615ULL), Json(1.5), Json("5s")}) {
    INFO(dump(value));
    CHECK(refusal(changed("/kill/forced_deadline_ms", value)).code == Code::invalid);
  }
}

TEST_CASE("a manifest without what identifies its driver is refused") {
  for (const char* key : {"id", "name", "vendor", "version", "license", "abi", "kill"}) {
    INFO(key);
    Json manifest = manifest_of(child);
    manifest.erase(key);
    CHECK(refusal(manifest).what.find(key) != std::string::npos);
  }
  CHECK(refusal(Json::array()).code == Code::invalid);
  CHECK(refusal(Json()).code == Code::invalid);
}

TEST_CASE("a manifest or driver of another generation is incompatible") {
  CHECK(refusal(changed("/manifest_version", 2)).code == Code::incompatible);
  CHECK(refusal(changed("/abi/major", 2)).code == Code::incompatible);
  const Error newer = refusal(changed("/abi/minor_min", BULKHEAD_ABI_MINOR + 1));
  CHECK(newer.code == Code::incompatible);
  CHECK(newer.hint == "update bulkhead");
}

TEST_CASE("keys that a later version added are kept and do no harm") {
  const auto parsed = parse_manifest(changed("/kill/later", {{"x", 1}}));
  REQUIRE(parsed.has_value());
  CHECK(parsed->document.at("/kill/later/x"_json_pointer) == 1);
}

TEST_CASE("a descriptor with a text that is null or empty is refused, and the text is named") {
  using D = bulkhead_descriptor;
  const std::array<std::pair<const char * D::*, std::string>, 6> texts{
      std::pair{&D::id, "id"},           std::pair{&D::name, "name"}, std::pair{&D::vendor, "vendor"},
      std::pair{&D::version, "version"}, std::pair{&D::url, "url"},   std::pair{&D::license, "license"}};
  for (const auto& [member, key] : texts) {
    for (const char* text : {static_cast<const char*>(nullptr), ""}) {
      D d = descriptor_of(child);
      d.*member = text;
      const auto described = describe(d);
      REQUIRE_FALSE(described.has_value());
      CHECK(described.error().what == "read descriptor: '" + key + "' is empty");
    }
  }
}

TEST_CASE("a descriptor without kill semantics, or with an older and smaller struct of them, is refused") {
  bulkhead_descriptor d = descriptor_of(child);
  d.kill = nullptr;
  CHECK(describe(d).error().what == "read descriptor: no kill semantics");
  bulkhead_kill_semantics small = child;
  small.size = 8;
  CHECK_FALSE(describe(descriptor_of(small)).has_value());
}

TEST_CASE("lists that a descriptor leaves out are empty") {
  bulkhead_kill_semantics kill = child;
  kill.artifact_kinds = nullptr;
  bulkhead_descriptor d = descriptor_of(kill);
  d.extensions = nullptr;
  const Json manifest = describe(d).value();
  CHECK(manifest.at("extensions") == Json::array());
  CHECK(manifest.at("/kill/artifact_kinds"_json_pointer) == Json::array());
  CHECK(parse_manifest(manifest).has_value());
}

TEST_CASE("every declared value has a name of its own, and is found by it") {
  const auto check = [](const auto& names) {
    for (const NamedValue& n : names) {
      CHECK(value_of(names, n.name) == n.value);
      CHECK(name_of(names, n.value) == n.name);
    }
    CHECK(name_of(names, 0).empty());
    CHECK(value_of(names, "") == 0);
  };
  check(process_model_names);
  check(process_group_names);
  check(helpers_names);
  check(containment_names);
  check(graceful_names);
  check(forced_names);
  check(blast_radius_names);
  check(agent_death_names);
  check(offline_names);
  check(recover_names);
  check(disk_safety_names);
}
