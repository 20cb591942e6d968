#include "qemu/command_line.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "qemu/json_text.hpp"

namespace bulkhead::qemu {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

void add(Arguments& out, std::initializer_list<std::string> arguments) { out.insert(out.end(), arguments); }

std::string listening_socket(const char* id, InheritedSocket socket) {
  return std::string("socket,id=") + id + ",fd=" + std::to_string(socket.fd) + ",server=on,wait=off";
}

void add_control(Arguments& out, const RunFacts& run) {
  // A QMP socket serves one client at a time, so a stuck client must not be able to shut everybody else out.
  add(out, {"-chardev", listening_socket("qmp", run.qmp), "-mon", "chardev=qmp,mode=control"});
  add(out, {"-chardev", listening_socket("qmp2", run.qmp_emergency), "-mon", "chardev=qmp2,mode=control"});
}

void add_console(Arguments& out, const Config& config, const RunFacts& run) {
  if (config.console == Console::none || !run.console) return;
  add(out, {"-chardev", listening_socket("console", *run.console) + ",logfile=" + escape_commas(run.console_log) +
                            ",logappend=on"});
  add(out, {"-serial", "chardev:console"});
}

void add_disks(Arguments& out, const Config& config) {
  for (std::size_t i = 0; i < config.disks.size(); ++i) {
    const Disk& disk = config.disks[i];
    const std::string node = "disk" + std::to_string(i);
    const json blockdev{{"driver", disk.format == DiskFormat::raw ? "raw" : "qcow2"},
                        {"node-name", node},
                        {"read-only", disk.access == DiskAccess::read_only},
                        {"discard", "unmap"},
                        {"file", {{"driver", "file"}, {"filename", disk.path}}}};
    std::string device = "virtio-blk-pci,drive=" + node;
    if (i == 0 && !std::holds_alternative<KernelBoot>(config.boot)) device += ",bootindex=0";
    add(out, {"-blockdev", json_text(blockdev), "-device", device});
  }
}

void add_boot(Arguments& out, const Boot& boot) {
  if (const auto* firmware = std::get_if<FirmwareBoot>(&boot)) add(out, {"-bios", firmware->path});
  const auto* kernel = std::get_if<KernelBoot>(&boot);
  if (kernel == nullptr) return;
  add(out, {"-kernel", kernel->kernel});
  if (!kernel->initrd.empty()) add(out, {"-initrd", kernel->initrd});
  if (!kernel->cmdline.empty()) add(out, {"-append", kernel->cmdline});
}

std::uint64_t fnv1a(std::uint64_t hash, std::string_view text) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

}  // namespace

std::vector<std::string> command_line(const Config& config, const RunFacts& run) {
  Arguments out{run.binary};
  add(out, {"-name", "guest=" + escape_commas(run.guest_name), "-uuid", run.uuid});
  add(out, {"-nodefaults", "-no-user-config", "-display", "none"});
  if (run.sandbox == Sandbox::seccomp)
    add(out, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  add(out, {"-machine", config.machine == MachineType::q35 ? "q35" : "pc", "-accel", name_of(run.accelerator)});
  if (!run.cpu_model.empty()) add(out, {"-cpu", run.cpu_model});
  add(out, {"-smp", std::to_string(config.cpus), "-m", "size=" + std::to_string(config.memory_bytes) + "B"});
  add_control(out, run);
  add_console(out, config, run);
  add(out, {"-object", R"({"qom-type":"rng-builtin","id":"rng0"})", "-device", "virtio-rng-pci,rng=rng0"});
  add_disks(out, config);
  if (config.network == Network::user)
    add(out, {"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="});
  add_boot(out, config.boot);
  out.insert(out.end(), config.extra_args.begin(), config.extra_args.end());
  return out;
}

std::string guest_name(std::string_view vm_id, std::string_view run_id) {
  return std::string(vm_id) + "@" + std::string(run_id);
}

std::string stable_uuid(std::string_view vm_id, std::string_view vm_dir) {
  const std::string text = std::string(vm_id) + '\n' + std::string(vm_dir);
  std::array<std::uint64_t, 2> half{fnv1a(0xcbf29ce484222325U, text), fnv1a(0x6c62272e07bb0142U, text)};
  half[0] = (half[0] & ~0xf000ULL) | 0x8000ULL;                         // version 8: made up by its maker (RFC 9562)
  half[1] = (half[1] & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;  // variant
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) out += '-';
    out += digits[(half[i / 16] >> (60 - 4 * (i % 16))) & 0xfU];
  }
  return out;
}

std::string escape_commas(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == ',') out += ',';
  }
  return out;
}

const char* name_of(Accelerator accelerator) { return accelerator == Accelerator::kvm ? "kvm" : "tcg"; }

}  // namespace bulkhead::qemu
