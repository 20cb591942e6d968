// What differs between operating systems.
#pragma once

#include <string>

#include "qemu/accelerator_plan.hpp"
#include "qemu/command_line.hpp"

namespace bulkhead::qemu {

Sandbox sandbox_support();

// Changes with every boot of the host; empty when it cannot be known.
std::string boot_id();

// Runs a few kernel-mode instructions in a virtual machine of its own, in this process, and leaves nothing behind. At
// most about half a second; a few milliseconds where KVM works.
KvmTrial try_kvm();

}  // namespace bulkhead::qemu
