// What was learnt about KVM for one VM on one boot of the host, so that the next start does not try again. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qemu/command_line.hpp"

namespace bulkhead::qemu {

struct FileStamp {
  std::string path;
  std::int64_t modified_ns = 0;
};

// The verdict holds as long as none of these changes.
struct VerdictKey {
  std::string boot_id;
  std::string cpu_model;
  std::vector<FileStamp> files;  // QEMU's program and the boot files
};

struct Verdict {
  Accelerator accelerator;
  std::string cpu_model;
  std::string reason;
  bool operator==(const Verdict&) const = default;
};

std::string verdict_text(const VerdictKey& key, const Verdict& verdict);

// Nothing when the text is damaged or was written for another key.
std::optional<Verdict> read_verdict(std::string_view text, const VerdictKey& key);

}  // namespace bulkhead::qemu
