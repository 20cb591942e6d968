#include "qemu/platform.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include "qemu/fd.posix.hpp"
#include "qemu/files.posix.hpp"
#include "qemu/quiet_thread.posix.hpp"

namespace bulkhead::qemu {
namespace {

using namespace std::chrono_literals;

// 64-bit kernel mode, loaded at code_at. A KVM that emulates kernel mode is slow in the loop and lacks some of what
// follows.
constexpr std::array<std::uint8_t, 39> guest_code{0xb9, 0x20, 0x4e, 0x00, 0x00,  // mov $20000,%ecx
                                                  0xff, 0xc9, 0x75, 0xfc,        // 1: dec %ecx; jnz 1b
                                                  0xe6, 0x10,                    // out %al,$0x10
                                                  0xbf, 0x00, 0x20, 0x00, 0x00,  // mov $0x2000,%edi
                                                  0x31, 0xc0, 0x31, 0xd2,        // xor %eax,%eax; xor %edx,%edx
                                                  0xf0, 0x48, 0x0f, 0xc7, 0x0f,  // lock cmpxchg16b (%rdi)
                                                  0xe6, 0x10,                    // out %al,$0x10
                                                  0x48, 0x0f, 0xae, 0x07,        // fxsave64 (%rdi)
                                                  0x48, 0x0f, 0xae, 0x0f,        // fxrstor64 (%rdi)
                                                  0xe6, 0x10,                    // out %al,$0x10
                                                  0xf4, 0xf4};                   // hlt
constexpr std::array<const char*, 3> steps{"a loop", "cmpxchg16b", "fxrstor"};

constexpr std::size_t memory_size = 0x10000;
constexpr std::size_t code_at = 0x1000;
constexpr std::size_t tables_at = 0x8000;
constexpr auto limit = 400ms;
// 20,000 rounds take some 10 us on a processor, and some 60 ms on a KVM that emulates them (measured: 3 us a round).
constexpr auto slow_loop = 10ms;

// KVM_SET_SIGNAL_MASK by hand: the header's flexible array gives kvm_signal_mask another size, and so the request
// another number, in C++ than in C.
constexpr unsigned long set_signal_mask = _IOW(KVMIO, 0x8b, std::uint32_t);

std::string words(int error) { return std::generic_category().message(error); }

class Mapping {
 public:
  Mapping(std::size_t size, int flags, int fd)
      : size_(size), at_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (at_ != MAP_FAILED) ::munmap(at_, size_);
  }
  std::uint8_t* data() const { return at_ == MAP_FAILED ? nullptr : static_cast<std::uint8_t*>(at_); }

 private:
  std::size_t size_;
  void* at_;
};

// Interrupts this thread's KVM_RUN when the limit has passed. The signal stays blocked outside KVM_RUN, so that no
// handler is needed and none runs.
class Alarm {
 public:
  explicit Alarm(int vcpu) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMAX;
    event._sigev_un._tid = ::gettid();
    armed_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    if (!armed_) return;
    const std::uint64_t mask = ~(std::uint64_t{1} << static_cast<unsigned>(SIGRTMAX - 1));
    std::array<std::uint8_t, sizeof(std::uint32_t) + sizeof mask> request{};
    const std::uint32_t length = sizeof mask;
    std::memcpy(request.data(), &length, sizeof length);
    std::memcpy(request.data() + sizeof length, &mask, sizeof mask);
    itimerspec when{};
    when.it_value.tv_nsec = std::chrono::nanoseconds(limit).count();
    set_ = ::ioctl(vcpu, set_signal_mask, request.data()) == 0 && ::timer_settime(timer_, 0, &when, nullptr) == 0;
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() {
    if (armed_) ::timer_delete(timer_);
  }
  bool set() const { return set_; }

 private:
  timer_t timer_{};
  bool armed_ = false;
  bool set_ = false;
};

void put(std::uint8_t* memory, std::size_t at, std::uint64_t value) { std::memcpy(memory + at, &value, sizeof value); }

void fill(std::uint8_t* memory) {
  std::ranges::copy(guest_code, memory + code_at);
  put(memory, tables_at, (tables_at + 0x1000) | 3U);  // one 2 MiB page, mapped one to one
  put(memory, tables_at + 0x1000, (tables_at + 0x2000) | 3U);
  put(memory, tables_at + 0x2000, 0x83U);
}

bool enter_long_mode(int vcpu) {
  kvm_sregs s{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &s) != 0) return false;
  s.cr3 = tables_at;
  s.cr4 = 0x620;       // PAE, OSFXSR, OSXMMEXCPT
  s.cr0 = 0x80000033;  // PG, NE, ET, MP, PE
  s.efer = 0x500;      // LMA, LME
  kvm_segment segment{};
  segment.limit = 0xffffffffU;
  segment.present = segment.s = segment.g = 1;
  segment.type = 11;
  segment.selector = 8;
  segment.l = 1;
  s.cs = segment;
  segment.type = 3;
  segment.selector = 16;
  segment.l = 0;
  segment.db = 1;
  s.ds = s.es = s.fs = s.gs = s.ss = segment;
  kvm_regs r{};
  r.rip = code_at;
  r.rsp = 0x7000;
  r.rflags = 2;
  return ::ioctl(vcpu, KVM_SET_SREGS, &s) == 0 && ::ioctl(vcpu, KVM_SET_REGS, &r) == 0;
}

// CPU time, so that a busy host does not make KVM look slow.
std::chrono::nanoseconds thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

KvmTrial run_steps(int vcpu, const kvm_run& run) {
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const std::string what = steps[step];
    const auto before = thread_time();
    if (::ioctl(vcpu, KVM_RUN, 0) != 0) {
      if (errno == EINTR) return {false, "KVM did not finish " + what + " within 400 ms"};
      return {false, "KVM failed at " + what + ": " + words(errno)};
    }
    if (run.exit_reason == KVM_EXIT_INTERNAL_ERROR) return {false, "KVM failed at " + what + " with an internal error"};
    if (run.exit_reason != KVM_EXIT_IO)
      return {false, "KVM failed at " + what + ": exit reason " + std::to_string(run.exit_reason)};
    if (step == 0 && thread_time() - before > slow_loop)
      return {false, "KVM emulates the guest's kernel instead of running it"};
  }
  return {true, ""};
}

KvmTrial trial_on_this_thread() {
  const Fd kvm{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
  if (!kvm) return {false, "open '/dev/kvm': " + words(errno)};
  const Fd vm{::ioctl(kvm.get(), KVM_CREATE_VM, 0UL)};
  if (!vm) return {false, "KVM cannot create a virtual machine: " + words(errno)};
  const Mapping memory(memory_size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (memory.data() == nullptr) return {false, "no memory to try KVM"};
  fill(memory.data());
  ::ioctl(vm.get(), KVM_SET_TSS_ADDR, 0xfffbd000UL);  // older Intel processors need it
  kvm_userspace_memory_region region{};
  region.memory_size = memory_size;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.data());
  if (::ioctl(vm.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0)
    return {false, "KVM refuses memory: " + words(errno)};
  const Fd vcpu{::ioctl(vm.get(), KVM_CREATE_VCPU, 0UL)};
  const int run_size = ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (!vcpu || run_size <= 0) return {false, "KVM cannot create a virtual CPU: " + words(errno)};
  const Mapping run(static_cast<std::size_t>(run_size), MAP_SHARED, vcpu.get());
  if (run.data() == nullptr || !enter_long_mode(vcpu.get())) return {false, "KVM refuses 64-bit mode: " + words(errno)};
  const Alarm alarm(vcpu.get());
  if (!alarm.set()) return {false, "no timer to try KVM: " + words(errno)};
  return run_steps(vcpu.get(), *reinterpret_cast<const kvm_run*>(run.data()));
}

}  // namespace

Sandbox sandbox_support() { return Sandbox::seccomp; }

std::string boot_id() { return read_tail("/proc/sys/kernel/random/boot_id", 0, 36); }

KvmTrial try_kvm() {
  KvmTrial result;
  // Its own thread: the alarm's signal must be blocked, and what is still pending dies with the thread.
  start_quiet_thread([&result] { result = trial_on_this_thread(); }).join();
  return result;
}

}  // namespace bulkhead::qemu
