#include "base/units.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace bulkhead {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// A whole number followed directly by one of the units; nothing else, and no overflow.
std::optional<std::uint64_t> parse_scaled(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const char* const begin = text.data();  // NOLINT(bugprone-suspicious-stringview-data-usage): used with its end
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    if (unit.name != suffix) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

constexpr std::uint64_t day_ms = 24ULL * 3600 * 1000;

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  constexpr std::array units{Unit{"B", 1}, Unit{"KiB", 1ULL << 10}, Unit{"MiB", 1ULL << 20}, Unit{"GiB", 1ULL << 30},
                             Unit{"TiB", 1ULL << 40}};
  const auto value = parse_scaled(text, units);
  if (!value) {
    return fail(Code::invalid, "size '" + std::string(text) + "': not a whole number with a unit",
                "write it like \"512MiB\" or \"2GiB\"");
  }
  return Bytes{*value};
}

Result<milliseconds> parse_duration(std::string_view text) {
  constexpr std::array units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};
  const auto value = parse_scaled(text, units);
  if (!value || *value > day_ms) {
    return fail(Code::invalid,
                "duration '" + std::string(text) +
                    "': " + (value ? "is longer than 24 hours" : "not a whole number with a unit"),
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
