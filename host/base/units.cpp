#include "base/units.hpp"

#include <array>
#include <charconv>
#include <expected>
#include <limits>
#include <span>

namespace bulkhead {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

enum class Miss { not_written, too_large };

// A whole number followed directly by one of the units, and nothing else.
std::expected<std::uint64_t, Miss> parse_scaled(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const char* const begin = text.data();  // NOLINT(bugprone-suspicious-stringview-data-usage): used with its end
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error == std::errc::invalid_argument) return std::unexpected(Miss::not_written);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    if (unit.name != suffix) continue;
    const bool overflows = error != std::errc{} || number > std::numeric_limits<std::uint64_t>::max() / unit.factor;
    if (overflows) return std::unexpected(Miss::too_large);
    return number * unit.factor;
  }
  return std::unexpected(Miss::not_written);
}

constexpr std::uint64_t day_ms = 24ULL * 3600 * 1000;

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  constexpr std::array units{Unit{"B", 1}, Unit{"KiB", 1ULL << 10}, Unit{"MiB", 1ULL << 20}, Unit{"GiB", 1ULL << 30},
                             Unit{"TiB", 1ULL << 40}};
  const auto value = parse_scaled(text, units);
  if (!value) {
    const bool large = value.error() == Miss::too_large;
    return fail(Code::invalid,
                "size '" + std::string(text) + "': " + (large ? "is too large" : "not a whole number with a unit"),
                "write it like \"512MiB\" or \"2GiB\"");
  }
  return Bytes{*value};
}

Result<milliseconds> parse_duration(std::string_view text) {
  constexpr std::array units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};
  const auto value = parse_scaled(text, units);
  if (!value || *value > day_ms) {
    const bool written = value || value.error() == Miss::too_large;
    return fail(Code::invalid,
                "duration '" + std::string(text) +
                    "': " + (written ? "is longer than 24 hours" : "not a whole number with a unit"),
                "write it like \"30s\", \"500ms\" or \"2m\"");
  }
  return milliseconds{static_cast<std::int64_t>(*value)};
}

std::string render(milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return std::to_string(ms) + " ms";
  const auto tenths = ms / 100;
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
  return text + " s";
}

}  // namespace bulkhead
