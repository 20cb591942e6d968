// QEMU's command line as a value. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qemu/config.hpp"

namespace bulkhead::qemu {

enum class Accelerator { kvm, tcg };
enum class Sandbox { seccomp, unavailable };

// A listening socket that QEMU inherits under the same number.
struct InheritedSocket {
  int fd = -1;
};

// What is only known when a run starts.
struct RunFacts {
  std::string binary;
  Accelerator accelerator = Accelerator::tcg;
  std::string cpu_model;   // empty: QEMU's own default
  std::string guest_name;  // unique to the run; see guest_name()
  std::string uuid;        // stable for the VM: the guest sees it
  std::string console_log;
  std::optional<InheritedSocket> console;
  InheritedSocket qmp;
  InheritedSocket qmp_emergency;
  Sandbox sandbox = Sandbox::seccomp;
};

std::vector<std::string> command_line(const Config& config, const RunFacts& run);

// What QEMU answers to query-name, by which a run is recognised. The guest does not see it.
std::string guest_name(std::string_view vm_id, std::string_view run_id);

// A UUID that stays the same for a VM: guests tie licences and instance ids to it.
std::string stable_uuid(std::string_view vm_id, std::string_view vm_dir);

// A comma ends a value in QEMU's option syntax; doubled, it is a comma.
std::string escape_commas(std::string_view text);

const char* name_of(Accelerator accelerator);

}  // namespace bulkhead::qemu
