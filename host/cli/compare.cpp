#include "cli/compare.hpp"

namespace bulkhead::cli {

namespace {

constexpr std::size_t longest = 80;

std::string shortened(const Json& value) {
  std::string text = dump(value);
  if (text.size() <= longest) return text;
  std::size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::vector<Problem> differences(const Json& has, const Json& wanted) {
  std::vector<Problem> found;
  for (const Json& change : Json::diff(has, wanted)) {
    const std::string pointer = string_or(change, "path");
    const std::string kind = string_or(change, "op");
    const Json::json_pointer place(pointer);
    const Json value = change.value("value", Json());
    if (kind == "add") {
      found.push_back({pointer, "is not there, wanted " + shortened(value), ""});
    } else if (kind == "remove") {
      found.push_back({pointer, "is " + shortened(has.at(place)) + ", wanted nothing", ""});
    } else {
      found.push_back({pointer, "is " + shortened(has.at(place)) + ", wanted " + shortened(value), ""});
    }
  }
  return found;
}

}  // namespace bulkhead::cli
