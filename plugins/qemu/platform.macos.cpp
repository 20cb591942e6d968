#include "qemu/platform.hpp"

#include <sys/sysctl.h>
#include <sys/time.h>

namespace bulkhead::qemu {

Sandbox sandbox_support() { return Sandbox::unavailable; }

std::string boot_id() {
  timeval boot{};
  std::size_t size = sizeof boot;
  if (::sysctlbyname("kern.boottime", &boot, &size, nullptr, 0) != 0) return {};
  return std::to_string(boot.tv_sec) + "." + std::to_string(boot.tv_usec);
}

KvmTrial try_kvm() { return {false, "KVM exists on Linux only"}; }

}  // namespace bulkhead::qemu
