// Which accelerators a start tries, in order. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qemu/command_line.hpp"
#include "qemu/verdict.hpp"

namespace bulkhead::qemu {

// What running a few kernel-mode instructions under KVM showed.
struct KvmTrial {
  bool usable = false;
  std::string reason;  // why not
};

enum class Watch { for_internal_error, not_needed };

struct Attempt {
  Accelerator accelerator;
  std::string cpu_model;
  std::string reason;  // why it is this one; empty: because of what the attempt before it met
  Watch watch = Watch::not_needed;
};

// Never empty. `trial` is only called when nothing else decides.
std::vector<Attempt> plan_attempts(const Config& config, const std::optional<Verdict>& remembered,
                                   const std::function<KvmTrial()>& trial);

}  // namespace bulkhead::qemu
