// What QEMU wrote to stderr before it gave up, as a status and a message. Pure.
#pragma once

#include <string>
#include <string_view>

#include "bulkhead/driver.h"

namespace bulkhead::qemu {

struct ExitCause {
  bulkhead_status status;  // config, busy, resource or unavailable
  std::string text;        // QEMU's words without its program name, one line; empty when it wrote nothing
  bool accelerator;        // KVM is what failed: another accelerator may work
};

// `log`: the tail of QEMU's output since this start.
ExitCause exit_cause(std::string_view log);

}  // namespace bulkhead::qemu
