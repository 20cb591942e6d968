#include "cli/yaml.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <yaml-cpp/yaml.h>

namespace bulkhead::cli {

namespace {

// Plain only where it cannot be anything but a string, in YAML 1.1 too: it begins with a letter, and is no word of
// YAML.
bool plain(std::string_view text) {
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto usual = [&](char c) {
    return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ||
           c == '/';
  };
  if (text.empty() || text.size() > 120 || !letter(text.front()) || !std::ranges::all_of(text, usual)) return false;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 11> words{"y",    "n",     "yes",  "no",  "on", "off",
                                                   "true", "false", "null", "nan", "inf"};
  return std::ranges::find(words, lower) == words.end();
}

void emit_text(YAML::Emitter& out, const std::string& text) {
  if (plain(text)) {
    out << text;
  } else {
    out << YAML::DoubleQuoted << text;
  }
}

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, child] : value.items()) {
      out << YAML::Key;
      emit_text(out, key);
      out << YAML::Value;
      emit(out, child);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& child : value) emit(out, child);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    emit_text(out, value.get<std::string>());
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();  // true, 7, 1.5: the same in YAML
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  // Once through JSON's writer: what is not UTF-8 becomes U+FFFD.
  const Json clean = Json::parse(dump(value));
  YAML::Emitter out;
  emit(out, clean);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace bulkhead::cli
