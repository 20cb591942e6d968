#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

TEST_CASE("X03: paths full of shell and QEMU syntax are paths and nothing else") {
  const HostUnderTest host;
  const fs::path pwned = host.folder() / "pwned";
  // The folders' names put together are a command substitution that would make `pwned`.
  const fs::path odd = host.folder().string() + "/$(touch " + pwned.string() + ")";
  fs::create_directories(odd);
  const std::string firmware = "fw;`id`'\"&|, file=x,readonly=on,.bin";
  const std::string disk = "disk,if=none,id=x $HOME *.raw";
  fs::copy_file(guest_file("firmware-obey.bin"), odd / firmware);
  support::write_text(odd / disk, std::string(1 << 20, '\0'));
  Json spec = host.firmware("fw");
  spec["boot"]["firmware"] = (odd / firmware).string();
  spec["disks"] = {{{"path", (odd / disk).string()}, {"format", "raw"}}};
  host.run_vm(spec);
  CHECK(host.ok({"stop", "fw"}).at("rung") == "ask");
  CHECK_FALSE(fs::exists(pwned));
}

TEST_CASE("X03: a VM's directory that is a symbolic link is not used") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  host.ok({"host", "stop"});
  fs::rename(host.vm_directory("fw"), host.folder() / "elsewhere");
  fs::create_directory_symlink(host.folder() / "elsewhere", host.vm_directory("fw"));
  const Json listed = host.ok({"list"}).at("vms");
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].at("state") == "lost");
  CHECK(contains(listed[0].at("why"), "symbolic link"));
  CHECK(host.bulkhead({"start", "fw"}).code != 0);
  CHECK(fs::exists(host.folder() / "elsewhere/vm.json"));
}

TEST_CASE("X03: a runtime directory that is a symbolic link is refused with what to do") {
  const HostUnderTest host;
  fs::create_directory(host.folder() / "elsewhere");
  fs::create_directory_symlink(host.folder() / "elsewhere", host.runtime() / "bulkhead");
  const Finished told = host.bulkhead({"list"});
  CHECK(told.code == 1);
  CHECK(contains(told.err, "symbolic link"));
  CHECK(fs::is_empty(host.folder() / "elsewhere"));
  CHECK(host.left().empty());
  fs::remove(host.runtime() / "bulkhead");
}

TEST_CASE("X02: a home that others may write to is refused with the fix") {
  const HostUnderTest host;
  fs::create_directory(host.home());
  fs::permissions(host.home(), fs::perms::all);
  const Finished told = host.bulkhead({"list"});
  CHECK(told.code == 1);
  CHECK(contains(told.err, "chmod 700"));
  CHECK(host.left().empty());
}

TEST_CASE("X01: another user can neither use the socket nor read the home") {
  const std::string dropper = "/usr/bin/setpriv";
  if (::geteuid() != 0 || !fs::exists(dropper)) SKIP_BECAUSE("only root can become somebody else, with " + dropper);
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  fs::permissions(host.folder(), fs::perms::owner_all | fs::perms::others_exec);  // else it is not our walls that hold
  const auto as_nobody = [&](Words words) {
    Words all{"--reuid=65534", "--regid=65534", "--clear-groups"};
    all.insert(all.end(), words.begin(), words.end());
    return support::run(host.command(dropper, all));
  };
  CHECK(as_nobody({"/bin/true"}).code == 0);
  for (const Words& words : {Words{"list"}, {"stop", "--force", "fw"}, {"host", "stop"}}) {
    Words all{program_path("bulkhead")};
    all.insert(all.end(), words.begin(), words.end());
    CHECK(as_nobody(all).code > 0);
  }
  CHECK(as_nobody({"/bin/ls", host.home().string()}).code > 0);
  CHECK(as_nobody({"/bin/cat", (host.vm_directory("fw") / "vm.json").string()}).code > 0);
  CHECK(host.state("fw") == "running");
}
