#include "store/spec.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/schema.hpp"
#include "base/utf8_path.hpp"

namespace bulkhead::store {

namespace {

constexpr char schema_text[] =
#include "vm_schema.inc"
    ;

const Schema& spec_schema() {
  // Our own text: that it compiles is shown by every test that reads a spec.
  static const Schema schema = *Schema::compile(Json::parse(schema_text), "vm.schema.json");
  return schema;
}

void add(std::vector<Problem>& problems, std::string pointer, const Error& error) {
  problems.push_back({std::move(pointer), error.what, error.hint});
}

void check_name(const Json& document, std::vector<Problem>& problems) {
  const auto name = string_at(document, "name");
  if (!name) return;  // the schema has said so
  if (const auto parsed = VmName::parse(*name); !parsed) add(problems, "/name", parsed.error());
}

// Where the schema has found a problem already, it has said enough.
void check_sizes(const Json& document, std::vector<Problem>& problems) {
  const auto is_new = [&](std::string_view pointer) {
    return std::ranges::none_of(problems, [&](const Problem& p) { return p.pointer == pointer; });
  };
  if (const auto memory = string_at(document, "memory"); memory && is_new("/memory")) {
    const auto bytes = parse_bytes(*memory);
    if (!bytes) {
      add(problems, "/memory", bytes.error());
    } else if (count(*bytes) < (1ULL << 20)) {
      problems.push_back({"/memory", "'" + *memory + "' is less than 1MiB", "write it like \"512MiB\""});
    }
  }
  for (const char* pointer : {"/stop/grace_period", "/restart/delay", "/restart/max_delay", "/restart/reset_after"}) {
    const Json::json_pointer at(pointer);
    if (!is_new(pointer) || !document.contains(at) || !document[at].is_string()) continue;
    const auto duration = parse_duration(document[at].get<std::string>());
    if (!duration) add(problems, pointer, duration.error());
  }
}

void check_boot(const Json& document, std::vector<Problem>& problems) {
  const auto boot = object_at(document, "boot");
  if (!boot) return;
  const bool kernel = boot->contains("kernel");
  if (kernel && boot->contains("firmware")) {
    problems.push_back({"/boot", "has both 'kernel' and 'firmware'", "keep one of them"});
  }
  for (const char* key : {"initrd", "cmdline"}) {
    if (boot->contains(key) && !kernel) {
      problems.push_back({std::string("/boot/") + key, "needs 'kernel'", "add /boot/kernel, or remove it"});
    }
  }
}

// A NUL would cut a path or an argument short on its way to the hypervisor.
void check_text(const Json& value, const Json::json_pointer& pointer, std::vector<Problem>& problems) {
  if (value.is_string() && value.get_ref<const std::string&>().find('\0') != std::string::npos) {
    problems.push_back({pointer.to_string(), "contains a NUL character", {}});
  } else if (value.is_structured()) {
    for (const auto& [key, child] : value.items()) check_text(child, pointer / key, problems);
  }
}

constexpr std::array policies{std::pair{Restart::Policy::never, "never"},
                              std::pair{Restart::Policy::on_failure, "on-failure"},
                              std::pair{Restart::Policy::always, "always"}};

Result<Restart> parse_restart(const Json& json) {
  Restart restart;
  const std::string wanted = string_or(json, "policy", "never");
  for (const auto& [policy, text] : policies) {
    if (wanted == text) restart.policy = policy;
  }
  for (const auto& [key, field] : {std::pair{"delay", &restart.delay}, std::pair{"max_delay", &restart.max_delay},
                                   std::pair{"reset_after", &restart.reset_after}}) {
    if (!json.contains(key)) continue;
    TRY(*field, parse_duration(string_or(json, key)));
  }
  restart.limit = static_cast<int>(integer_or(json, "limit", restart.limit));
  return restart;
}

std::string absolute(const std::string& path, const std::filesystem::path& folder) {
  if (path.empty()) return path;
  return utf8((folder / path_from_utf8(path)).lexically_normal());
}

}  // namespace

std::string_view name(Restart::Policy policy) {
  return std::ranges::find(policies, policy, &std::pair<Restart::Policy, const char*>::first)->second;
}

std::vector<Problem> check_spec(const Json& document) {
  std::vector<Problem> problems = spec_schema().check(document);
  if (!document.is_object()) return problems;
  check_name(document, problems);
  check_sizes(document, problems);
  check_boot(document, problems);
  check_text(document, Json::json_pointer(), problems);
  return problems;
}

Result<VmSpec> parse_spec(const Json& document, const std::filesystem::path& folder) {
  if (auto problems = check_spec(document); !problems.empty()) {
    const std::string count = problems.size() == 1 ? "1 problem" : std::to_string(problems.size()) + " problems";
    return std::unexpected(
        Error{.code = Code::invalid, .what = "read VM spec: " + count, .problems = std::move(problems)});
  }
  TRY(VmName name, VmName::parse(string_or(document, "name")));
  VmSpec spec{.name = std::move(name), .driver = string_or(document, "driver")};
  spec.cpus = static_cast<int>(integer_or(document, "cpus", spec.cpus));
  TRY(spec.memory, parse_bytes(string_or(document, "memory", "512MiB")));
  const Json boot = object_at(document, "boot").value_or(Json::object());
  spec.boot = {.kernel = absolute(string_or(boot, "kernel"), folder),
               .initrd = absolute(string_or(boot, "initrd"), folder),
               .cmdline = string_or(boot, "cmdline"),
               .firmware = absolute(string_or(boot, "firmware"), folder)};
  for (const Json& disk : document.value("disks", Json::array())) {
    spec.disks.push_back({.path = absolute(string_or(disk, "path"), folder),
                          .format = string_or(disk, "format", "raw"),
                          .readonly = on(flag_or(disk, "readonly", Flag::off))});
  }
  spec.console = string_or(object_at(document, "console").value_or(Json::object()), "type", "serial");
  const Json stop = object_at(document, "stop").value_or(Json::object());
  if (stop.contains("grace_period")) {
    TRY(spec.grace_period, parse_duration(string_or(stop, "grace_period")));
  }
  spec.best_effort_containment = string_or(document, "containment") == "best-effort";
  const Json restart = object_at(document, "restart").value_or(Json::object());
  TRY(spec.restart, parse_restart(restart));
  spec.autostart = on(flag_or(document, "autostart", Flag::off));
  spec.options = document.value("options", Json::object());
  return spec;
}

namespace {

Json boot_json(const Boot& boot) {
  Json json = Json::object();
  if (!boot.kernel.empty()) json["kernel"] = boot.kernel;
  if (!boot.initrd.empty()) json["initrd"] = boot.initrd;
  if (!boot.cmdline.empty()) json["cmdline"] = boot.cmdline;
  if (!boot.firmware.empty()) json["firmware"] = boot.firmware;
  return json;
}

Json disks_json(const std::vector<Disk>& disks) {
  Json json = Json::array();
  for (const Disk& disk : disks) {
    json.push_back({{"path", disk.path}, {"format", disk.format}, {"readonly", disk.readonly}});
  }
  return json;
}

std::string text_of(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + "s" : std::to_string(time.count()) + "ms";
}

Json restart_json(const Restart& restart) {
  return {{"policy", name(restart.policy)},
          {"delay", text_of(restart.delay)},
          {"max_delay", text_of(restart.max_delay)},
          {"reset_after", text_of(restart.reset_after)},
          {"limit", restart.limit}};
}

}  // namespace

Json to_json(const VmSpec& spec) {
  Json json{{"version", 1},
            {"name", spec.name.str()},
            {"driver", spec.driver},
            {"cpus", spec.cpus},
            {"boot", boot_json(spec.boot)},
            {"disks", disks_json(spec.disks)},
            {"console", {{"type", spec.console}}},
            {"options", spec.options}};
  const std::uint64_t bytes = count(spec.memory);
  json["memory"] =
      bytes % (1ULL << 20) == 0 ? std::to_string(bytes >> 20) + "MiB" : std::to_string(bytes >> 10) + "KiB";
  if (spec.best_effort_containment) json["containment"] = "best-effort";
  if (spec.grace_period) json["stop"] = {{"grace_period", text_of(*spec.grace_period)}};
  if (spec.restart != Restart{}) json["restart"] = restart_json(spec.restart);
  if (spec.autostart) json["autostart"] = true;
  return json;
}

std::vector<std::string> pending_changes(const VmSpec& running, const VmSpec& wanted) {
  Json before = to_json(running);
  Json after = to_json(wanted);
  for (const char* hosts : {"restart", "autostart", "stop"}) {
    before.erase(hosts);
    after.erase(hosts);
  }
  const Json difference = Json::diff(before, after);
  std::vector<std::string> pointers;
  for (const Json& change : difference) pointers.push_back(string_or(change, "path"));
  std::ranges::sort(pointers);
  const auto twice = std::ranges::unique(pointers);
  pointers.erase(twice.begin(), twice.end());
  return pointers;
}

Json driver_arguments(const VmSpec& spec) {
  const Json vm{{"name", spec.name.str()},
                {"cpus", spec.cpus},
                {"memory_bytes", count(spec.memory)},
                {"boot", boot_json(spec.boot)},
                {"disks", disks_json(spec.disks)},
                {"console", {{"type", spec.console}}}};
  return {{"vm", vm}, {"options", spec.options}};
}

}  // namespace bulkhead::store
