#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead {

// The candidate that `word` was most likely meant to be ("memroy" → "memory"), or nothing when none is near.
std::optional<std::string> suggest(std::string_view word, std::span<const std::string> candidates);

}  // namespace bulkhead
