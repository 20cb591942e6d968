#include "base/ids.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace bulkhead {

namespace {

constexpr std::size_t max_name = 63;

bool lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Device names on Windows, with or without an extension.
bool reserved_on_windows(std::string_view name) {
  const std::string_view stem = name.substr(0, name.find('.'));
  constexpr std::array<std::string_view, 4> devices{"con", "prn", "aux", "nul"};
  if (std::ranges::find(devices, stem) != devices.end()) return true;
  return stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem[3] >= '0' && stem[3] <= '9';
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string shortened(std::string_view text) {
  return text.size() <= 80 ? std::string(text) : std::string(text.substr(0, 77)) + "...";
}

}  // namespace

Result<VmName> VmName::parse(std::string_view text) {
  const auto bad = [&](std::string why, std::string hint) {
    return fail(Code::invalid, "name '" + shortened(text) + "': " + std::move(why), std::move(hint));
  };
  if (text.empty()) return bad("is empty", "give the VM a name such as 'dev'");
  if (text.size() > max_name) {
    return bad("has " + std::to_string(text.size()) + " characters, at most 63 are allowed", "use a shorter name");
  }
  const bool letters =
      std::ranges::all_of(text, [](char c) { return lower_alnum(c) || c == '.' || c == '_' || c == '-'; });
  if (!letters) {
    const std::string lower = lowered(text);
    if (lower != text && parse(lower)) return bad("upper-case letters are not allowed", "use '" + lower + "'");
    return bad("only the characters a-z 0-9 . _ - are allowed", "use a name such as 'dev-1'");
  }
  if (!lower_alnum(text.front()) || !lower_alnum(text.back())) {
    return bad("must begin and end with a letter or digit", "use a name such as 'dev-1'");
  }
  if (reserved_on_windows(text)) return bad("is a device name on Windows", "use another name");
  return VmName{std::string(text)};
}

Result<RunId> RunId::parse(std::string_view text) {
  const bool hex = text.size() == 16 &&
                   std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!hex) return fail(Code::invalid, "run id '" + shortened(text) + "': not 16 lower-case hex digits");
  return RunId{std::string(text)};
}

RunId RunId::random() {
  std::random_device device;
  std::string text;
  for (int word = 0; word < 2; ++word) {
    unsigned value = device();
    for (int digit = 0; digit < 8; ++digit, value >>= 4) text += "0123456789abcdef"[value & 15U];
  }
  return RunId{std::move(text)};
}

}  // namespace bulkhead
