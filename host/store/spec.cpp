#include "store/spec.hpp"

#include <algorithm>

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
  const Json stop = object_at(document, "stop").value_or(Json::object());
  if (const auto grace = string_at(stop, "grace_period"); grace && is_new("/stop/grace_period")) {
    const auto duration = parse_duration(*grace);
    if (!duration) add(problems, "/stop/grace_period", duration.error());
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

std::string absolute(const std::string& path, const std::filesystem::path& folder) {
  if (path.empty()) return path;
  return utf8((folder / path_from_utf8(path)).lexically_normal());
}

}  // namespace

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
  if (spec.grace_period) json["stop"] = {{"grace_period", std::to_string(spec.grace_period->count()) + "ms"}};
  return json;
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
