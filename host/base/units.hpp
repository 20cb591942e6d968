#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace bulkhead {

enum class Bytes : std::uint64_t {};
constexpr std::uint64_t count(Bytes b) { return static_cast<std::uint64_t>(b); }

// "512MiB": a whole number and one of B, KiB, MiB, GiB, TiB.
Result<Bytes> parse_bytes(std::string_view text);
// "1500ms", "30s", "5m", "1h": a whole number and a unit; at most 24 hours.
Result<milliseconds> parse_duration(std::string_view text);
// "1.5 s", "30 s", "250 ms": for people.
std::string render(milliseconds duration);

}  // namespace bulkhead
