#include "qemu/qemu_log.hpp"

#include "support/catch.hpp"

using bulkhead::qemu::exit_cause;

TEST_CASE("QEMU's own words are kept without its program name") {
  const auto cause = exit_cause("qemu-system-x86_64: -bogus: invalid option\n");
  CHECK(cause.text == "-bogus: invalid option");
  CHECK(cause.status == BULKHEAD_CONFIG);
  CHECK_FALSE(cause.accelerator);
}

TEST_CASE("a missing file is a configuration problem that names the file") {
  const auto cause = exit_cause("qemu: could not open kernel file '/x': No such file or directory\n");
  CHECK(cause.text == "could not open kernel file '/x': No such file or directory");
  CHECK(cause.status == BULKHEAD_CONFIG);
}

TEST_CASE("a long argument that the user never wrote is left out") {
  const auto cause = exit_cause(
      "qemu-system-x86_64: -blockdev {\"file\":{\"filename\":\"/x, }: y\"}}: Could not open '/x': No such file\n");
  CHECK(cause.text == "could not open '/x': No such file");
}

TEST_CASE("warnings do not hide the error") {
  const auto cause = exit_cause(
      "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory\n"
      "qemu-system-x86_64: warning: host doesn't support requested feature\n");
  CHECK(cause.text == "cannot set up guest memory 'pc.ram': Cannot allocate memory");
  CHECK(cause.status == BULKHEAD_RESOURCE);
}

TEST_CASE("a warning alone is better than nothing") {
  CHECK(exit_cause("qemu-system-x86_64: warning: odd\n").text == "warning: odd");
  CHECK(exit_cause("").text.empty());
  CHECK(exit_cause("\n\r\n  \n").text.empty());
}

TEST_CASE("an image in use is busy") {
  const auto cause = exit_cause(
      "qemu-system-x86_64: -blockdev {}: Failed to get \"write\" lock\n"
      "Is another process using the image [/x]?\n");
  CHECK(cause.status == BULKHEAD_BUSY);
  CHECK(cause.text.find("/x") != std::string::npos);
}

TEST_CASE("a failure of KVM is told apart, also when an assertion follows it") {
  const auto cause = exit_cause(
      "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\n"
      "qemu-system-x86_64: ../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == n' failed.\n");
  CHECK(cause.accelerator);
  CHECK(cause.status == BULKHEAD_UNAVAILABLE);
  CHECK(cause.text == "failed to set MSR 0x10a to 0x69");
}

TEST_CASE("a file whose path mentions kvm is not a failure of KVM") {
  CHECK_FALSE(exit_cause("qemu: could not open kernel file '/kvm/qemu-kvm/k': No such file\n").accelerator);
}

TEST_CASE("hostile output becomes one short printable line") {
  const auto cause = exit_cause("qemu: a\x1b[31m\tb" + std::string(5000, 'x'));
  CHECK(cause.text.size() <= 400);
  CHECK(cause.text.starts_with("a?[31m?b"));
}
