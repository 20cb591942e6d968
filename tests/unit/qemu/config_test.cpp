#include "qemu/config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"

using namespace bulkhead::qemu;
using nlohmann::json;

namespace {

json good() {
  return json::parse(R"({"vm": {"name": "dev1", "cpus": 2, "memory_bytes": 134217728,
    "boot": {"kernel": "/k", "initrd": "/i", "cmdline": "quiet"},
    "disks": [{"path": "/d", "format": "qcow2", "readonly": true}], "console": {"type": "none"}},
    "options": {"accelerator": "tcg", "machine": "pc", "cpu_model": "host,-arch-capabilities", "network": "user",
                "binary": "/opt/qemu", "extra_args": ["-device", "pvpanic"]}})");
}

ParsedConfig parse(const json& args) { return parse_config(args.dump()); }

std::vector<std::string> pointers(const ParsedConfig& parsed) {
  std::vector<std::string> out;
  for (const Problem& p : parsed.problems) out.push_back(p.pointer);
  return out;
}

// The problems after `value` is set at `where`.
std::vector<std::string> problems_with(const char* where, const json& value) {
  json args = good();
  args[json::json_pointer(where)] = value;
  return pointers(parse(args));
}

using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE("a complete configuration is read without problems") {
  const auto parsed = parse(good());
  REQUIRE(parsed.problems.empty());
  const Config& c = parsed.config;
  CHECK(c.name == "dev1");
  CHECK(c.cpus == 2);
  CHECK(c.memory_bytes == 134217728);
  CHECK(std::get<KernelBoot>(c.boot).cmdline == "quiet");
  REQUIRE(c.disks.size() == 1);
  CHECK(c.disks[0].format == DiskFormat::qcow2);
  CHECK(c.disks[0].access == DiskAccess::read_only);
  CHECK(c.console == Console::none);
  CHECK(c.accelerator == AcceleratorChoice::tcg);
  CHECK(c.machine == MachineType::pc);
  CHECK(c.network == Network::user);
  CHECK(c.binary == "/opt/qemu");
  CHECK(c.extra_args == std::vector<std::string>{"-device", "pvpanic"});
}

TEST_CASE("options have safe defaults") {
  json args = good();
  args.erase("options");
  args["vm"].erase("console");
  const auto parsed = parse(args);
  REQUIRE(parsed.problems.empty());
  CHECK(parsed.config.accelerator == AcceleratorChoice::automatic);
  CHECK(parsed.config.machine == MachineType::q35);
  CHECK(parsed.config.network == Network::none);
  CHECK(parsed.config.console == Console::serial);
  CHECK(parsed.config.binary == "qemu-system-x86_64");
}

TEST_CASE("every problem is reported with its place") {
  json args = good();
  args["vm"]["cpus"] = 0;
  args["vm"]["boot"]["kernel"] = "k";
  args["vm"]["disks"].push_back({{"format", "vmdk"}});
  args["options"]["machine"] = "microvm";
  CHECK(pointers(parse(args)) ==
        Pointers{"/cpus", "/disks/1/path", "/disks/1/format", "/boot/kernel", "/options/machine"});
}

TEST_CASE("a value of the wrong kind is a problem and not a crash") {
  CHECK(problems_with("/vm/cpus", "two") == Pointers{"/cpus"});
  CHECK(problems_with("/vm/cpus", -1) == Pointers{"/cpus"});
  CHECK(problems_with("/vm/cpus", 1.5) == Pointers{"/cpus"});
  CHECK(problems_with("/vm/cpus", 4294967296) == Pointers{"/cpus"});
  CHECK(problems_with("/vm/memory_bytes", 1) == Pointers{"/memory_bytes"});
  CHECK(problems_with("/vm/name", 1) == Pointers{"/name", "/name"});
  CHECK(problems_with("/vm/boot", 1) == Pointers{"/boot"});
  CHECK(problems_with("/vm/disks", "x") == Pointers{"/disks"});
  CHECK(problems_with("/vm/disks/0", "x") == Pointers{"/disks/0"});
  CHECK(problems_with("/vm/disks/0/readonly", "no") == Pointers{"/disks/0/readonly"});
  CHECK(problems_with("/vm/console", "serial") == Pointers{"/console"});
  CHECK(problems_with("/options", 5) == Pointers{"/options"});
  CHECK(problems_with("/options/extra_args", "-x") == Pointers{"/options/extra_args"});
  CHECK(problems_with("/options/extra_args/0", 1) == Pointers{"/options/extra_args/0"});
}

TEST_CASE("what is not a configuration at all is one problem") {
  for (const char* text : {"", "{", "[]", "null", "{}", R"({"vm": 3})", "\xff"}) {
    INFO(text);
    CHECK(pointers(parse_config(text)) == Pointers{""});
  }
}

TEST_CASE("a VM with nothing to boot is refused with a hint") {
  json args = good();
  args["vm"].erase("boot");
  CHECK(parse(args).problems.empty());
  args["vm"].erase("disks");
  const auto parsed = parse(args);
  REQUIRE(pointers(parsed) == Pointers{"/boot"});
  CHECK_FALSE(parsed.problems[0].hint.empty());
}

TEST_CASE("kernel and firmware exclude each other") {
  CHECK(problems_with("/vm/boot/firmware", "/fw") == Pointers{"/boot/firmware"});
}

TEST_CASE("an unknown option is a problem") {
  CHECK(problems_with("/options/acelerator", "kvm") == Pointers{"/options/acelerator"});
}

TEST_CASE("a CPU model cannot carry anything but a model and its features") {
  CHECK(problems_with("/options/cpu_model", "Skylake-Client-v3,+avx2,-hle,level=0xd") == Pointers{});
  for (const char* bad : {"", " host", "host -S", "-S", "a\nb", "host;x"}) {
    INFO(bad);
    CHECK(problems_with("/options/cpu_model", bad) == Pointers{"/options/cpu_model"});
  }
}

TEST_CASE("the QEMU program is a name or an absolute path") {
  CHECK(problems_with("/options/binary", "qemu-kvm") == Pointers{});
  CHECK(problems_with("/options/binary", "./qemu") == Pointers{"/options/binary"});
  CHECK(problems_with("/options/binary", "") == Pointers{"/options/binary"});
}

TEST_CASE("text with a NUL character is refused where it stands") {
  const std::string nul("/a\0b", 4);
  CHECK(problems_with("/vm/boot/kernel", nul) == Pointers{"/boot/kernel"});
  CHECK(problems_with("/vm/boot/cmdline", nul) == Pointers{"/boot/cmdline"});
  CHECK(problems_with("/options/extra_args/0", nul) == Pointers{"/options/extra_args/0"});
}

TEST_CASE("a refused extra argument is named with its place and the reason") {
  const auto parsed = parse([] {
    json args = good();
    args["options"]["extra_args"] = {"-device", "pvpanic", "--daemonize"};
    return args;
  }());
  REQUIRE(pointers(parsed) == Pointers{"/options/extra_args/2"});
  CHECK(parsed.problems[0].reason.find("--daemonize") != std::string::npos);
}

TEST_CASE("the files of a configuration are listed with their places") {
  const auto files = files_of(parse(good()).config);
  REQUIRE(files.size() == 3);
  CHECK(files[0].pointer == "/boot/kernel");
  CHECK(files[1].pointer == "/boot/initrd");
  CHECK(files[2].pointer == "/disks/0/path");
  CHECK(files[2].path == "/d");
  CHECK(files[2].access == DiskAccess::read_only);
}
