#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "qemu/files.posix.hpp"
#include "qemu/verdict.hpp"

namespace bulkhead::qemu {

// The remembered verdict of one VM: one file in the VM's directory. Any thread. Losing it costs only time.
class VerdictStore {
 public:
  VerdictStore(std::string path, VerdictKey key) : path_(std::move(path)), key_(std::move(key)) {}
  static std::string path_in(const std::string& vm_dir) { return vm_dir + "/accelerator.json"; }

  std::optional<Verdict> recall() const { return read_verdict(read_tail(path_, 0, std::size_t{64} * 1024), key_); }
  bool remember(const Verdict& verdict) const {
    const std::lock_guard lock(writing_);
    return replace_file(path_, verdict_text(key_, verdict));
  }

 private:
  std::string path_;
  VerdictKey key_;
  mutable std::mutex writing_;
};

}  // namespace bulkhead::qemu
