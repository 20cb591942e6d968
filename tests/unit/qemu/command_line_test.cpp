#include "qemu/command_line.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"

using namespace bulkhead::qemu;
using nlohmann::json;

namespace {

const std::string odd_path = R"(/srv/a, b [c] "q" 'x'\=y)";

Config config() {
  Config c;
  c.name = "dev1";
  c.cpus = 2;
  c.memory_bytes = 134217728;
  c.boot = FirmwareBoot{"/fw.bin"};
  return c;
}

RunFacts facts() {
  RunFacts run;
  run.binary = "/usr/bin/qemu-system-x86_64";
  run.guest_name = "dev1@7";
  run.uuid = "00000000-0000-8000-8000-000000000000";
  run.console_log = "/logs/console.log";
  run.console = InheritedSocket{9};
  run.qmp = InheritedSocket{7};
  run.qmp_emergency = InheritedSocket{8};
  return run;
}

std::vector<std::string> values_of(const std::vector<std::string>& argv, const std::string& option) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i + 1 < argv.size(); ++i) {
    if (argv[i] == option) out.push_back(argv[i + 1]);
  }
  return out;
}

bool has(const std::vector<std::string>& argv, const std::string& word) {
  return std::ranges::find(argv, word) != argv.end();
}

using Values = std::vector<std::string>;

}  // namespace

TEST_CASE("the command line keeps QEMU in the foreground, sandboxed and without devices of its own choosing") {
  const auto argv = command_line(config(), facts());
  CHECK(argv.front() == "/usr/bin/qemu-system-x86_64");
  CHECK(has(argv, "-nodefaults"));
  CHECK(has(argv, "-no-user-config"));
  CHECK(values_of(argv, "-display") == Values{"none"});
  CHECK(values_of(argv, "-sandbox") ==
        Values{"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  for (const char* never : {"-daemonize", "-pidfile", "-no-reboot", "-S", "-no-shutdown"})
    CHECK_FALSE(has(argv, never));
}

TEST_CASE("both control sockets are inherited by number") {
  const auto argv = command_line(config(), facts());
  CHECK(values_of(argv, "-mon") == Values{"chardev=qmp,mode=control", "chardev=qmp2,mode=control"});
  const auto chardevs = values_of(argv, "-chardev");
  REQUIRE(chardevs.size() == 3);
  CHECK(chardevs[0] == "socket,id=qmp,fd=7,server=on,wait=off");
  CHECK(chardevs[1] == "socket,id=qmp2,fd=8,server=on,wait=off");
  CHECK(chardevs[2] == "socket,id=console,fd=9,server=on,wait=off,logfile=/logs/console.log,logappend=on");
}

TEST_CASE("a comma in the console log's path does not end the option") {
  auto run = facts();
  run.console_log = "/a,b,,c=d/console.log";
  const auto chardevs = values_of(command_line(config(), run), "-chardev");
  CHECK(chardevs.at(2) == "socket,id=console,fd=9,server=on,wait=off,logfile=/a,,b,,,,c=d/console.log,logappend=on");
}

TEST_CASE("a comma in the guest's name does not set another property") {
  auto run = facts();
  run.guest_name = "a,process=b";
  CHECK(values_of(command_line(config(), run), "-name") == Values{"guest=a,,process=b"});
}

TEST_CASE("a disk's path reaches QEMU unchanged whatever characters it has") {
  auto c = config();
  c.disks = {{odd_path, DiskFormat::qcow2, DiskAccess::read_write}, {"/b", DiskFormat::raw, DiskAccess::read_only}};
  const auto argv = command_line(c, facts());
  const auto blockdevs = values_of(argv, "-blockdev");
  REQUIRE(blockdevs.size() == 2);
  const json first = json::parse(blockdevs[0]);
  CHECK(first["file"]["filename"] == odd_path);
  CHECK(first["driver"] == "qcow2");
  CHECK(first["read-only"] == false);
  const json second = json::parse(blockdevs[1]);
  CHECK(second["driver"] == "raw");
  CHECK(second["read-only"] == true);
}

TEST_CASE("the first disk is booted unless a kernel is given") {
  auto c = config();
  c.disks = {{"/a", DiskFormat::raw, DiskAccess::read_write}, {"/b", DiskFormat::raw, DiskAccess::read_write}};
  c.boot = FirstDiskBoot{};
  CHECK(has(command_line(c, facts()), "virtio-blk-pci,drive=disk0,bootindex=0"));
  CHECK(has(command_line(c, facts()), "virtio-blk-pci,drive=disk1"));
  c.boot = KernelBoot{"/k", "", ""};
  CHECK(has(command_line(c, facts()), "virtio-blk-pci,drive=disk0"));
}

TEST_CASE("a kernel is passed with its initrd and its command line as single arguments") {
  auto c = config();
  c.boot = KernelBoot{odd_path, "/i,1", R"(console=ttyS0 a="b c",d)"};
  const auto argv = command_line(c, facts());
  CHECK(values_of(argv, "-kernel") == Values{odd_path});
  CHECK(values_of(argv, "-initrd") == Values{"/i,1"});
  CHECK(values_of(argv, "-append") == Values{R"(console=ttyS0 a="b c",d)"});
  CHECK_FALSE(has(argv, "-bios"));
  c.boot = KernelBoot{"/k", "", ""};
  CHECK_FALSE(has(command_line(c, facts()), "-initrd"));
  CHECK_FALSE(has(command_line(c, facts()), "-append"));
}

TEST_CASE("firmware is passed as it is") {
  CHECK(values_of(command_line(config(), facts()), "-bios") == Values{"/fw.bin"});
}

TEST_CASE("a VM without a console has no serial port") {
  auto c = config();
  c.console = Console::none;
  const auto argv = command_line(c, facts());
  CHECK_FALSE(has(argv, "-serial"));
  CHECK(values_of(argv, "-chardev").size() == 2);
}

TEST_CASE("processors, memory, machine and accelerator are as configured") {
  auto c = config();
  c.machine = MachineType::pc;
  auto run = facts();
  run.accelerator = Accelerator::kvm;
  run.cpu_model = "host,-arch-capabilities";
  const auto argv = command_line(c, run);
  CHECK(values_of(argv, "-smp") == Values{"2"});
  CHECK(values_of(argv, "-m") == Values{"size=134217728B"});
  CHECK(values_of(argv, "-machine") == Values{"pc"});
  CHECK(values_of(argv, "-accel") == Values{"kvm"});
  CHECK(values_of(argv, "-cpu") == Values{"host,-arch-capabilities"});
  run.cpu_model.clear();
  CHECK_FALSE(has(command_line(c, run), "-cpu"));
}

TEST_CASE("there is a network card only when one is asked for") {
  auto c = config();
  CHECK_FALSE(has(command_line(c, facts()), "-netdev"));
  c.network = Network::user;
  CHECK(values_of(command_line(c, facts()), "-netdev") == Values{"user,id=net0"});
}

TEST_CASE("extra arguments come last and unchanged") {
  auto c = config();
  c.extra_args = {"-device", "virtio-serial-pci,id=a b"};
  const auto argv = command_line(c, facts());
  CHECK(argv[argv.size() - 2] == "-device");
  CHECK(argv.back() == "virtio-serial-pci,id=a b");
}

TEST_CASE("a QEMU without seccomp is not asked for a sandbox") {
  auto run = facts();
  run.sandbox = Sandbox::unavailable;
  CHECK_FALSE(has(command_line(config(), run), "-sandbox"));
}

TEST_CASE("a VM keeps its UUID and another VM has another one") {
  const std::string uuid = stable_uuid("dev1", "/state/dev1");
  CHECK(uuid == stable_uuid("dev1", "/state/dev1"));
  CHECK(uuid != stable_uuid("dev2", "/state/dev1"));
  CHECK(uuid != stable_uuid("dev1", "/other/dev1"));
  REQUIRE(uuid.size() == 36);
  CHECK(uuid[8] == '-');
  CHECK(uuid[14] == '8');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
}

TEST_CASE("two runs of a VM have different names for QEMU") {
  CHECK(guest_name("dev1", "1") != guest_name("dev1", "2"));
}
