#include "catalogue/manifest.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "bulkhead/kill_semantics.hpp"

namespace bulkhead::catalogue {

namespace {

constexpr std::int64_t manifest_version = 1;

Json list_json(const char* const* list) {
  Json json = Json::array();
  for (; list != nullptr && *list != nullptr; ++list) json.push_back(*list);
  return json;
}

Result<void> check_consistent(const bulkhead_kill_semantics& declared) {
  try {
    static_cast<void>(consistent(declared));
    return {};
  } catch (const char* rule) {
    return fail(Code::invalid, std::string("declared kill semantics: ") + rule);
  }
}

Json containment_json(std::uint32_t mask) {
  Json json = Json::array();
  for (const NamedValue& flag : containment_names) {
    if ((mask & flag.value) != 0) json.push_back(flag.name);
  }
  return json;
}

Json kill_json(const bulkhead_kill_semantics& k) {
  return {{"process_model", name_of(process_model_names, k.process_model)},
          {"process_group", name_of(process_group_names, k.process_group)},
          {"helpers", name_of(helpers_names, k.helpers)},
          {"containment", containment_json(k.containment)},
          {"graceful", name_of(graceful_names, k.graceful)},
          {"graceful_timeout_ms", k.graceful_timeout_ms},
          {"forced", name_of(forced_names, k.forced)},
          {"forced_deadline_ms", k.forced_deadline_ms},
          {"forced_blast_radius", name_of(blast_radius_names, k.forced_blast_radius)},
          {"on_agent_death", name_of(agent_death_names, k.on_agent_death)},
          {"agent_death_grace_ms", k.agent_death_grace_ms},
          {"offline_stop", name_of(offline_names, k.offline_stop)},
          {"recover", name_of(recover_names, k.recover)},
          {"disk_safety", name_of(disk_safety_names, k.disk_safety)},
          {"artifact_kinds", list_json(k.artifact_kinds)},
          {"stop_argv", list_json(k.stop_argv)}};
}

Result<std::uint32_t> milliseconds_at(const Json& json, const char* key) {
  TRY(const std::int64_t value, integer_at(json, key));
  if (value < 0 || value > 24LL * 3600 * 1000)
    return fail(Code::invalid, std::string("read '") + key + "': out of range");
  return static_cast<std::uint32_t>(value);
}

template <class Names>
Result<std::uint32_t> named_at(const Json& json, const char* key, const Names& names) {
  TRY(const std::string text, string_at(json, key));
  const std::uint32_t value = value_of(names, text);
  // An unknown value is a newer promise than this program can keep.
  if (value == 0) return fail(Code::incompatible, std::string("read '") + key + "': unknown value '" + text + "'");
  return value;
}

Result<std::vector<std::string>> strings_at(const Json& json, const char* key) {
  const auto it = json.find(key);
  const bool strings = it != json.end() && it->is_array() &&
                       std::ranges::all_of(*it, [](const Json& entry) { return entry.is_string(); });
  if (!strings) return fail(Code::invalid, std::string("read '") + key + "': not a list of strings");
  std::vector<std::string> list;
  for (const Json& entry : *it) list.push_back(entry.get<std::string>());
  return list;
}

Result<KillSemantics> parse_kill(const Json& json) {
  KillSemantics kill;
  bulkhead_kill_semantics& k = kill.declared;
  k.size = sizeof k;
  TRY(k.process_model, named_at(json, "process_model", process_model_names));
  TRY(k.process_group, named_at(json, "process_group", process_group_names));
  TRY(k.helpers, named_at(json, "helpers", helpers_names));
  TRY(const std::vector<std::string> flags, strings_at(json, "containment"));
  for (const std::string& flag : flags) {
    const std::uint32_t bit = value_of(containment_names, flag);
    if (bit == 0) return fail(Code::incompatible, "read 'containment': unknown value '" + flag + "'");
    k.containment |= bit;
  }
  TRY(k.graceful, named_at(json, "graceful", graceful_names));
  TRY(k.graceful_timeout_ms, milliseconds_at(json, "graceful_timeout_ms"));
  TRY(k.forced, named_at(json, "forced", forced_names));
  TRY(k.forced_deadline_ms, milliseconds_at(json, "forced_deadline_ms"));
  TRY(k.forced_blast_radius, named_at(json, "forced_blast_radius", blast_radius_names));
  TRY(k.on_agent_death, named_at(json, "on_agent_death", agent_death_names));
  TRY(k.agent_death_grace_ms, milliseconds_at(json, "agent_death_grace_ms"));
  TRY(k.offline_stop, named_at(json, "offline_stop", offline_names));
  TRY(k.recover, named_at(json, "recover", recover_names));
  TRY(k.disk_safety, named_at(json, "disk_safety", disk_safety_names));
  TRY(kill.artifact_kinds, strings_at(json, "artifact_kinds"));
  TRY(kill.stop_argv, strings_at(json, "stop_argv"));

  bulkhead_kill_semantics with_lists = k;
  const std::array<const char*, 2> some_argv{"", nullptr};
  with_lists.stop_argv = kill.stop_argv.empty() ? nullptr : some_argv.data();
  CHECKED(check_consistent(with_lists));
  return kill;
}

}  // namespace

Result<Json> describe(const bulkhead_descriptor& d) {
  const std::array<std::pair<const char*, const char*>, 6> texts{std::pair{"id", d.id}, {"name", d.name},
                                                                 {"vendor", d.vendor},  {"version", d.version},
                                                                 {"url", d.url},        {"license", d.license}};
  Json json{{"manifest_version", manifest_version}};
  for (const auto& [key, text] : texts) {
    if (text == nullptr || *text == '\0')
      return fail(Code::invalid, std::string("read descriptor: '") + key + "' is empty");
    json[key] = text;
  }
  if (d.kill == nullptr || d.kill->size < sizeof(bulkhead_kill_semantics)) {
    return fail(Code::invalid, "read descriptor: no kill semantics");
  }
  CHECKED(check_consistent(*d.kill));
  json["abi"] = {{"major", d.abi_major}, {"minor", d.abi_minor}, {"minor_min", d.abi_minor_min}};
  json["state_version"] = d.state_version;
  json["state_version_min"] = d.state_version_min;
  json["extensions"] = list_json(d.extensions);
  json["kill"] = kill_json(*d.kill);
  return json;
}

Result<Manifest> parse_manifest(const Json& document) {
  if (!document.is_object()) return fail(Code::invalid, "read manifest: not an object");
  if (integer_or(document, "manifest_version", 0) != manifest_version) {
    return fail(Code::incompatible, "read manifest: its version is not known to this program");
  }
  Manifest manifest{.document = document};
  TRY(manifest.id, string_at(document, "id"));
  TRY(manifest.name, string_at(document, "name"));
  TRY(manifest.vendor, string_at(document, "vendor"));
  TRY(manifest.version, string_at(document, "version"));
  TRY(manifest.license, string_at(document, "license"));
  TRY(const Json abi, object_at(document, "abi"));
  if (integer_or(abi, "major", 0) != BULKHEAD_ABI_MAJOR) {
    return fail(Code::incompatible, "read manifest: driver ABI " + std::to_string(integer_or(abi, "major", 0)) +
                                        ", this program has " + std::to_string(BULKHEAD_ABI_MAJOR));
  }
  manifest.abi_minor_min = integer_or(abi, "minor_min", 0);
  if (manifest.abi_minor_min > std::int64_t{BULKHEAD_ABI_MINOR}) {
    return fail(Code::incompatible, "read manifest: the driver needs a newer bulkhead", "update bulkhead");
  }
  TRY(const Json kill, object_at(document, "kill"));
  TRY(manifest.kill, parse_kill(kill));
  return manifest;
}

}  // namespace bulkhead::catalogue
