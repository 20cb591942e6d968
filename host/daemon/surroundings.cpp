#include "daemon/surroundings.hpp"

#include <ranges>

namespace bulkhead::daemon {

namespace {
constexpr std::size_t kept = 256;
}  // namespace

void Endings::add(const os::Reaped& reaped) {
  ++total_;
  endings_.push_back(reaped);
  if (endings_.size() > kept) endings_.pop_front();
}

std::string Endings::of(std::int64_t pid) const {
  for (const os::Reaped& ending : endings_ | std::views::reverse) {
    if (ending.pid != pid) continue;
    return ending.signal != 0 ? "killed by signal " + std::to_string(ending.signal)
                              : "exited with code " + std::to_string(ending.code);
  }
  return {};
}

}  // namespace bulkhead::daemon
