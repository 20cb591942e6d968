#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

// Two stand-ins for a process that hangs in the kernel: SIGKILL does not end it until it is let go.
namespace bulkhead::support {

// Stands still at its exit, since it is traced: by this thread, which must be the one that lets it go. Any user can do
// this to a process of its own.
class HeldAtExit {
 public:
  // "": it can be done here; else why not.
  static std::string obstacle() { return {}; }
  explicit HeldAtExit(std::int64_t pid);
  HeldAtExit(const HeldAtExit&) = delete;
  HeldAtExit& operator=(const HeldAtExit&) = delete;
  ~HeldAtExit() { let_go(); }
  void let_go();

 private:
  std::int64_t pid_;
};

// Frozen by the cgroup v1 freezer; the one of v2 lets SIGKILL through.
class Frozen {
 public:
  static std::string obstacle();
  explicit Frozen(std::int64_t pid);
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  ~Frozen();
  void let_go();

 private:
  std::int64_t pid_;
  std::filesystem::path folder_;
};

}  // namespace bulkhead::support
