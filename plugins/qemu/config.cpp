#include "qemu/config.hpp"

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "qemu/extra_args.hpp"

namespace bulkhead::qemu {
namespace {

using nlohmann::json;

constexpr std::uint64_t least_memory = 1U << 20U;
constexpr std::uint64_t most_memory = std::uint64_t{1} << 46U;
constexpr std::uint64_t most_cpus = 255;

// Reads fields and collects every problem instead of ending at the first.
class Reader {
 public:
  explicit Reader(std::vector<Problem>& problems) : problems_(problems) {}

  void problem(std::string pointer, std::string reason, std::string hint = {}) {
    problems_.push_back({std::move(pointer), std::move(reason), std::move(hint)});
  }

  // The field, or null when it is absent or not of the wanted kind (then a problem is noted).
  const json* field(const json& object, const std::string& base, const char* name, json::value_t kind,
                    const char* kind_name) {
    const auto it = object.find(name);
    if (it == object.end() || it->is_null()) return nullptr;
    const bool right = kind == json::value_t::number_unsigned ? it->is_number_unsigned() : it->type() == kind;
    if (right) return &*it;
    problem(base + "/" + name, std::string("must be ") + kind_name);
    return nullptr;
  }

  std::optional<std::string> text(const json& object, const std::string& base, const char* name) {
    const json* value = field(object, base, name, json::value_t::string, "a string");
    if (value == nullptr) return std::nullopt;
    return clean(*value->get_ptr<const std::string*>(), base + "/" + name);
  }

  std::optional<std::string> path(const json& object, const std::string& base, const char* name) {
    auto value = text(object, base, name);
    if (value && (value->empty() || value->front() != '/')) {
      problem(base + "/" + name, "'" + *value + "' is not an absolute path");
      return std::nullopt;
    }
    return value;
  }

  // A NUL would cut the text short in argv, silently.
  std::optional<std::string> clean(const std::string& value, const std::string& pointer) {
    if (value.find('\0') == std::string::npos) return value;
    problem(pointer, "contains a NUL character");
    return std::nullopt;
  }

  std::optional<std::uint64_t> number(const json& object, const char* name, std::uint64_t least, std::uint64_t most) {
    const std::string pointer = std::string("/") + name;
    if (!object.contains(name)) {
      problem(pointer, "is missing");
      return std::nullopt;
    }
    const json* value = field(object, "", name, json::value_t::number_unsigned, "a positive whole number");
    if (value == nullptr) return std::nullopt;
    const auto n = value->get<std::uint64_t>();
    if (n >= least && n <= most) return n;
    problem(pointer, "must be between " + std::to_string(least) + " and " + std::to_string(most));
    return std::nullopt;
  }

  template <class E, std::size_t N>
  void choice(const json& object, const std::string& base, const char* name,
              const std::array<std::pair<const char*, E>, N>& choices, E& out) {
    const auto value = text(object, base, name);
    if (!value) return;
    std::string known;
    for (const auto& [word, result] : choices) {
      if (*value == word) {
        out = result;
        return;
      }
      known += (known.empty() ? "" : ", ") + std::string(word);
    }
    problem(base + "/" + name, "unknown value '" + *value + "'", "use one of: " + known);
  }

 private:
  std::vector<Problem>& problems_;
};

Boot read_boot(Reader& reader, const json& vm, bool has_disks) {
  const json* boot = reader.field(vm, "", "boot", json::value_t::object, "an object");
  if (boot == nullptr || boot->empty()) {
    const bool absent = !vm.contains("boot") || vm["boot"].empty();
    if (!has_disks && absent)
      reader.problem("/boot", "there is nothing to boot from", "give boot.kernel, boot.firmware or a disk");
    return FirstDiskBoot{};
  }
  const auto kernel = reader.path(*boot, "/boot", "kernel");
  const auto firmware = reader.path(*boot, "/boot", "firmware");
  if (kernel && firmware) reader.problem("/boot/firmware", "cannot be combined with boot.kernel");
  if (firmware) return FirmwareBoot{*firmware};
  const auto initrd = reader.path(*boot, "/boot", "initrd");
  const auto cmdline = reader.text(*boot, "/boot", "cmdline");
  if (!boot->contains("kernel") && !boot->contains("firmware")) reader.problem("/boot/kernel", "is missing");
  return KernelBoot{kernel.value_or(""), initrd.value_or(""), cmdline.value_or("")};
}

std::vector<Disk> read_disks(Reader& reader, const json& vm) {
  std::vector<Disk> disks;
  const json* list = reader.field(vm, "", "disks", json::value_t::array, "an array");
  if (list == nullptr) return disks;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string base = "/disks/" + std::to_string(i);
    const json& item = (*list)[i];
    if (!item.is_object()) {
      reader.problem(base, "must be an object");
      continue;
    }
    Disk disk;
    const auto path = reader.path(item, base, "path");
    if (!path && !item.contains("path")) reader.problem(base + "/path", "is missing");
    disk.path = path.value_or("");
    reader.choice(item, base, "format",
                  std::array{std::pair{"raw", DiskFormat::raw}, std::pair{"qcow2", DiskFormat::qcow2}}, disk.format);
    const json* readonly = reader.field(item, base, "readonly", json::value_t::boolean, "true or false");
    if (readonly != nullptr && readonly->get<bool>()) disk.access = DiskAccess::read_only;
    disks.push_back(std::move(disk));
  }
  return disks;
}

void read_extra_args(Reader& reader, const json& options, std::vector<std::string>& out) {
  const json* list = reader.field(options, "/options", "extra_args", json::value_t::array, "an array of strings");
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string pointer = "/options/extra_args/" + std::to_string(i);
    const json& item = (*list)[i];
    if (!item.is_string()) {
      reader.problem(pointer, "must be a string");
      continue;
    }
    const auto argument = reader.clean(item.get<std::string>(), pointer);
    if (!argument) continue;
    if (const auto refusal = refuse_extra_arg(*argument)) {
      reader.problem(pointer, "'" + *argument + "' is refused: " + refusal->reason, refusal->hint);
      continue;
    }
    out.push_back(*argument);
  }
}

void read_options(Reader& reader, const json& options, Config& config) {
  constexpr std::array known{"accelerator", "machine", "cpu_model", "binary", "network", "extra_args"};
  for (const auto& [key, value] : options.items()) {
    bool found = false;
    for (const char* name : known) found = found || key == name;
    if (!found) reader.problem("/options/" + key, "unknown option");
  }
  reader.choice(options, "/options", "accelerator",
                std::array{std::pair{"auto", AcceleratorChoice::automatic}, std::pair{"kvm", AcceleratorChoice::kvm},
                           std::pair{"tcg", AcceleratorChoice::tcg}},
                config.accelerator);
  reader.choice(options, "/options", "machine",
                std::array{std::pair{"q35", MachineType::q35}, std::pair{"pc", MachineType::pc}}, config.machine);
  reader.choice(options, "/options", "network",
                std::array{std::pair{"none", Network::none}, std::pair{"user", Network::user}}, config.network);
  if (const auto model = reader.text(options, "/options", "cpu_model")) {
    // Commas are the syntax of -cpu itself, so the whole value is limited to what a model and its features consist of.
    constexpr std::string_view word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const bool good = !model->empty() && word.find(model->front()) != std::string_view::npos &&
                      model->find_first_not_of(std::string(word) + "_.,=+-") == std::string::npos;
    if (good) {
      config.cpu_model = *model;
    } else {
      reader.problem("/options/cpu_model", "'" + *model + "' is not a CPU model");
    }
  }
  if (const auto binary = reader.text(options, "/options", "binary")) {
    const bool name_or_absolute =
        !binary->empty() && (binary->front() == '/' || binary->find('/') == std::string::npos);
    if (name_or_absolute) {
      config.binary = *binary;
    } else {
      reader.problem("/options/binary", "must be a program's name or an absolute path");
    }
  }
  read_extra_args(reader, options, config.extra_args);
}

void read_vm(Reader& reader, const json& vm, Config& config) {
  config.name = reader.text(vm, "", "name").value_or("");
  if (config.name.empty()) reader.problem("/name", "is missing or empty");
  config.cpus = static_cast<std::uint32_t>(reader.number(vm, "cpus", 1, most_cpus).value_or(1));
  config.memory_bytes = reader.number(vm, "memory_bytes", least_memory, most_memory).value_or(0);
  config.disks = read_disks(reader, vm);
  config.boot = read_boot(reader, vm, !config.disks.empty());
  if (const json* console = reader.field(vm, "", "console", json::value_t::object, "an object")) {
    reader.choice(*console, "/console", "type",
                  std::array{std::pair{"serial", Console::serial}, std::pair{"none", Console::none}}, config.console);
  }
}

}  // namespace

ParsedConfig parse_config(std::string_view args) {
  ParsedConfig parsed;
  Reader reader{parsed.problems};
  const json root = json::parse(args, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || !root.contains("vm") || !root["vm"].is_object()) {
    reader.problem("", "the configuration is not a JSON object with a \"vm\" object");
    return parsed;
  }
  read_vm(reader, root["vm"], parsed.config);
  if (const json* options = reader.field(root, "", "options", json::value_t::object, "an object"))
    read_options(reader, *options, parsed.config);
  return parsed;
}

std::vector<NamedFile> files_of(const Config& config) {
  std::vector<NamedFile> files;
  if (const auto* kernel = std::get_if<KernelBoot>(&config.boot)) {
    files.push_back({"/boot/kernel", kernel->kernel, DiskAccess::read_only});
    if (!kernel->initrd.empty()) files.push_back({"/boot/initrd", kernel->initrd, DiskAccess::read_only});
  } else if (const auto* firmware = std::get_if<FirmwareBoot>(&config.boot)) {
    files.push_back({"/boot/firmware", firmware->path, DiskAccess::read_only});
  }
  for (std::size_t i = 0; i < config.disks.size(); ++i)
    files.push_back({"/disks/" + std::to_string(i) + "/path", config.disks[i].path, config.disks[i].access});
  return files;
}

}  // namespace bulkhead::qemu
