#include "qemu/qemu_log.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace bulkhead::qemu {
namespace {

constexpr std::size_t longest_text = 400;

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view w) { return text.find(w) != std::string_view::npos; });
}

std::string_view without_program(std::string_view line) {
  const std::size_t colon = line.find(": ");
  const bool program = colon != std::string_view::npos && line.starts_with("qemu") &&
                       line.substr(0, colon).find(' ') == std::string_view::npos;
  if (program) line.remove_prefix(colon + 2);
  if (line.starts_with("error: ")) line.remove_prefix(7);
  return line;
}

// "-blockdev {...}: Could not open 'x'" repeats a long argument that the user never wrote.
std::string_view without_json_argument(std::string_view line) {
  if (!line.starts_with('-')) return line;
  const std::size_t end = line.rfind("}: ");
  return end == std::string_view::npos ? line : line.substr(end + 3);
}

// The last error is what ended QEMU. Warnings may follow it, and an assertion only repeats it.
std::string_view last_error(std::string_view log) {
  std::string_view found;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    const std::string_view text = without_program(line);
    const bool beside_the_point =
        text.starts_with("warning:") || text.starts_with("info:") || text.find("Assertion `") != std::string_view::npos;
    if (!text.empty() && (!beside_the_point || found.empty())) found = text;
  }
  return found;
}

std::string tidy(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, longest_text)) {
    const auto code = static_cast<unsigned char>(c);
    out += code < 0x20 || code == 0x7f ? '?' : c;
  }
  const bool sentence = out.size() > 1 && out[0] >= 'A' && out[0] <= 'Z' && out[1] >= 'a' && out[1] <= 'z';
  if (sentence) out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

bulkhead_status status_of(std::string_view text) {
  if (contains_any(text, {"Failed to get \"", "Is another process using the image"})) return BULKHEAD_BUSY;
  if (contains_any(text, {"Cannot allocate memory", "Too many open files"})) return BULKHEAD_RESOURCE;
  const bool about_input = text.starts_with('-') ||
                           contains_any(text, {"ould not open", "ould not load", "No such file", "Permission denied",
                                               "invalid option", "nvalid parameter", "unable to find CPU model"});
  return about_input ? BULKHEAD_CONFIG : BULKHEAD_UNAVAILABLE;
}

}  // namespace

ExitCause exit_cause(std::string_view log) {
  const std::string_view text = last_error(log);
  // KVM's failures end in an assertion, so the telling words may be on an earlier line than the last.
  const bool accelerator = contains_any(
      log, {"Could not access KVM", "nitialize kvm", "KVM internal error", "kvm run failed", "to set MSR", "KVM_"});
  const bulkhead_status status = accelerator ? BULKHEAD_UNAVAILABLE : status_of(text);
  return {status, tidy(without_json_argument(text)), accelerator};
}

}  // namespace bulkhead::qemu
