// Which user-given QEMU arguments would break what this driver promises. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace bulkhead::qemu {

struct Refusal {
  const char* reason;
  const char* hint;  // may be empty
};

// Nothing when the argument may be passed on. QEMU accepts -x and --x alike and knows no abbreviations.
std::optional<Refusal> refuse_extra_arg(std::string_view argument);

}  // namespace bulkhead::qemu
