#include "qemu/extra_args.hpp"

#include <string>

#include "support/catch.hpp"

using bulkhead::qemu::refuse_extra_arg;

TEST_CASE("arguments that would break the driver's promises are refused in both spellings") {
  for (const std::string name :
       {"daemonize", "pidfile",     "qmp",    "qmp-pretty", "mon",      "monitor",        "display", "nographic",
        "S",         "runas",       "chroot", "sandbox",    "run-with", "async-teardown", "name",    "uuid",
        "incoming",  "no-shutdown", "action", "preconfig",  "accel",    "readconfig"}) {
    INFO(name);
    REQUIRE(refuse_extra_arg("-" + name));
    REQUIRE(refuse_extra_arg("--" + name));
    CHECK_FALSE(std::string(refuse_extra_arg("-" + name)->reason).empty());
  }
}

TEST_CASE("other arguments and values pass") {
  for (const char* argument : {"-device", "--device", "-s", "-no-reboot", "-daemonized", "daemonize", "name", "", "-",
                               "--", "virtio-serial-pci,id=a"}) {
    INFO(argument);
    CHECK_FALSE(refuse_extra_arg(argument));
  }
}
