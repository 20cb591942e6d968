// The VM's configuration as this driver understands it. Pure: no file is looked at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bulkhead::qemu {

enum class AcceleratorChoice { automatic, kvm, tcg };
enum class MachineType { q35, pc };
enum class DiskFormat { raw, qcow2 };
enum class DiskAccess { read_write, read_only };
enum class Console { serial, none };
enum class Network { none, user };

struct Disk {
  std::string path;
  DiskFormat format = DiskFormat::raw;
  DiskAccess access = DiskAccess::read_write;
};

struct FirstDiskBoot {};
struct KernelBoot {
  std::string kernel;
  std::string initrd;   // may be empty
  std::string cmdline;  // may be empty
};
struct FirmwareBoot {
  std::string path;
};
using Boot = std::variant<FirstDiskBoot, KernelBoot, FirmwareBoot>;

struct Config {
  std::string name;
  std::uint32_t cpus = 1;
  std::uint64_t memory_bytes = 0;
  Boot boot;
  std::vector<Disk> disks;
  Console console = Console::serial;

  AcceleratorChoice accelerator = AcceleratorChoice::automatic;
  MachineType machine = MachineType::q35;
  std::string cpu_model;  // empty: chosen by accelerator
  std::string binary = "qemu-system-x86_64";
  Network network = Network::none;
  std::vector<std::string> extra_args;
};

struct Problem {
  std::string pointer;  // JSON pointer into the VM's spec: "/boot/kernel", "/options/machine"
  std::string reason;
  std::string hint;  // one thing to try; may be empty
};

struct ParsedConfig {
  Config config;  // complete only when there are no problems
  std::vector<Problem> problems;
};

// `args`: {"vm": {...}, "options": {...}} as given to open. Never throws on bad input.
ParsedConfig parse_config(std::string_view args);

// A file that the configuration names, and where it is named.
struct NamedFile {
  std::string pointer;
  std::string path;
  DiskAccess access;
};
std::vector<NamedFile> files_of(const Config& config);

}  // namespace bulkhead::qemu
