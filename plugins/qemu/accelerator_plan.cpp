#include "qemu/accelerator_plan.hpp"

namespace bulkhead::qemu {
namespace {

Attempt tcg(const Config& config, std::string reason) {
  return {Accelerator::tcg, config.cpu_model.empty() ? "max" : config.cpu_model, std::move(reason), Watch::not_needed};
}

std::vector<Attempt> kvm(const Config& config, const std::string& reason, Watch watch) {
  if (!config.cpu_model.empty()) return {{Accelerator::kvm, config.cpu_model, reason, watch}};
  // Some KVMs refuse to set IA32_ARCH_CAPABILITIES, and QEMU then aborts before the guest runs. Hiding it costs the
  // guest speed (it assumes the worst about its CPU), so it is the second choice.
  return {{Accelerator::kvm, "host", reason, watch}, {Accelerator::kvm, "host,-arch-capabilities", reason, watch}};
}

}  // namespace

std::vector<Attempt> plan_attempts(const Config& config, const std::optional<Verdict>& remembered,
                                   const std::function<KvmTrial()>& trial) {
  if (config.accelerator == AcceleratorChoice::tcg) return {tcg(config, "configured")};
  if (config.accelerator == AcceleratorChoice::kvm) return kvm(config, "configured", Watch::for_internal_error);
  if (remembered) {
    if (remembered->accelerator == Accelerator::tcg) return {tcg(config, remembered->reason)};
    return {{Accelerator::kvm, remembered->cpu_model, remembered->reason, Watch::not_needed}, tcg(config, "")};
  }
  const KvmTrial result = trial();
  if (!result.usable) return {tcg(config, result.reason)};
  std::vector<Attempt> attempts = kvm(config, "KVM passed its trial", Watch::for_internal_error);
  attempts.push_back(tcg(config, ""));
  return attempts;
}

}  // namespace bulkhead::qemu
