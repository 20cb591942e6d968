#include "cli/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>
#include <utility>
#include <vector>

namespace bulkhead::cli {

namespace {

constexpr std::size_t shortest_to_find_again = 6;
constexpr int deepest_schema = 32;

bool names_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}

bool blank(char c) { return c == ' ' || c == '\t'; }

// Where a value that nothing quotes ends.
bool ends_value(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0 ||
         std::string_view(",;&\"'\\)}]").find(c) != std::string_view::npos;
}

std::string without_private_keys(std::string text) {
  constexpr std::string_view begin_mark = "-----BEGIN ";
  constexpr std::string_view end_mark = "-----END ";
  for (auto at = text.find(begin_mark); at != std::string::npos; at = text.find(begin_mark, at + 1)) {
    const auto line_end = std::min(text.find('\n', at), text.size());
    if (text.substr(at, line_end - at).find("PRIVATE KEY") == std::string::npos) continue;
    const auto end = text.find(end_mark, at);
    const auto stop = end == std::string::npos ? text.size() : std::min(text.find('\n', end), text.size());
    text.replace(at, stop - at, left_out);
  }
  return text;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// "scheme://user:password@host": the part between the colon and the @, which `found` is told.
void hide_passwords_of_urls(std::string& text, const std::function<void(std::string)>& found) {
  for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const auto begin = at + 3;
    const auto end = std::min(text.find_first_of("/ \t\n\"'?#", begin), text.size());
    const auto host = text.rfind('@', end);
    if (host == std::string::npos || host < begin) continue;
    const auto colon = text.find(':', begin);
    if (colon >= host) continue;
    found(text.substr(colon + 1, host - colon - 1));
    text.replace(colon + 1, host - colon - 1, left_out);
  }
}

// Of a value that a quote at `at` begins, which so many backslashes escape: texts in JSON in JSON have several.
std::size_t quoted_end(std::string_view line, std::size_t at, std::size_t escapes) {
  const char quote = line[at];
  std::size_t backslashes = 0;
  for (std::size_t end = at + 1; end < line.size(); ++end) {
    const bool closes = escapes == 0 ? backslashes % 2 == 0 : backslashes <= escapes;
    if (line[end] == quote && closes) return end - backslashes * (escapes == 0 ? 0 : 1);
    backslashes = line[end] == '\\' ? backslashes + 1 : 0;
  }
  return line.size();
}

// The value that begins at `at`, behind = or : and perhaps a quote; {at, at} when there is none.
std::pair<std::size_t, std::size_t> value_at(std::string_view line, std::size_t at) {
  while (at < line.size() && blank(line[at])) ++at;
  const std::size_t quote = std::min(line.find_first_not_of('\\', at), line.size());
  if (quote < line.size() && (line[quote] == '"' || line[quote] == '\'')) {
    return {quote + 1, quoted_end(line, quote, quote - at)};
  }
  std::size_t end = at;
  while (end < line.size() && !ends_value(line[end])) ++end;
  return {at, end};
}

// "Authorization: Digest a, b" is a secret to the end, and "token: Bearer abc" are two words.
std::size_t whole_end(std::string_view line, std::string_view name, std::size_t begin, std::size_t end) {
  const bool quoted = begin > 0 && (line[begin - 1] == '"' || line[begin - 1] == '\'');
  if (quoted) return end;
  if (lower_case(name).find("authorization") != std::string::npos) {
    return std::min(line.find_first_of("\"'\\", end), line.size());
  }
  const std::string word = lower_case(line.substr(begin, end - begin));
  return word == "bearer" || word == "basic" ? value_at(line, end).second : end;
}

// In "--password=correct horse", a word of a command line or of an environment, all behind the = is the secret.
std::size_t assigned_in_word(std::string_view word) {
  const auto equals = std::min(word.find('='), word.size());
  const auto name = word.substr(0, equals);
  return equals < word.size() && std::ranges::all_of(name, names_letter) && sounds_secret(name) ? equals + 1
                                                                                                : word.size();
}

bool matches(const std::string& key, const std::string& pattern) {
  try {
    return std::regex_search(key, std::regex(pattern, std::regex::ECMAScript));
  } catch (const std::regex_error&) {
    return true;  // it rather takes too much
  }
}

std::optional<Json> referred(const Json& root, const std::string& reference) {
  if (!reference.starts_with("#")) return std::nullopt;
  try {
    return root.at(Json::json_pointer(reference.substr(1)));
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

bool sounds_secret(std::string_view name) {
  std::string lower = lower_case(name);
  for (const std::string_view harmless : {"keyboard", "keymap", "keep"}) {
    for (auto at = lower.find(harmless); at != std::string::npos; at = lower.find(harmless)) {
      lower.erase(at, harmless.size());
    }
  }
  // $PWD and $OLDPWD are folders.
  if (lower.ends_with("pwd") && lower != "pwd" && lower != "oldpwd") return true;
  if (lower.ends_with("pass") && !lower.ends_with("bypass")) return true;
  constexpr std::array words{"password", "passwd", "passphrase", "secret",
                             "token",    "key",    "credential", "authorization"};
  return std::ranges::any_of(words, [&](const char* word) { return lower.find(word) != std::string::npos; });
}

Json Redactor::taken_out(const Json& value) {
  if (value.is_null() || value.is_boolean()) return value;
  if (learning_ != nullptr) {
    if (value.is_string()) learning_->insert(value.get<std::string>());
    if (value.is_number()) learning_->insert(value.dump());
    if (value.is_structured()) {
      for (const Json& child : value) taken_out(child);
    }
  }
  ++taken_;
  return left_out;
}

void Redactor::learn(const Json& document) {
  std::set<std::string> found;
  const std::size_t before = taken_;
  learning_ = &found;
  redact_value(document);
  learning_ = nullptr;
  taken_ = before;
  for (const std::string& secret : found) {
    if (secret.size() < shortest_to_find_again || secret == left_out) continue;
    learned_.insert(secret);
    const std::string written = dump(secret);
    learned_.insert(written.substr(1, written.size() - 2));
  }
}

Json Redactor::redact(const Json& document) { return redact_value(document); }

Json Redactor::redact_value(const Json& value) {
  if (value.is_string()) return redact_text(value.get_ref<const std::string&>());
  if (value.is_array()) return redact_list(value);
  if (!value.is_object()) return value;
  Json copy = Json::object();
  const std::string driver = string_or(value, "driver");
  for (const auto& [key, child] : value.items()) {
    if (sounds_secret(key)) {
      copy[key] = taken_out(child);
    } else if (key == "options" && child.is_object() && !driver.empty()) {
      copy[key] = redact_options(child, driver);
    } else {
      copy[key] = redact_value(child);
    }
  }
  return copy;
}

// A command line too: in ["--token", "abc"] the second word is the secret.
Json Redactor::redact_list(const Json& list) {
  Json copy = Json::array();
  bool secret_next = false;
  for (const Json& item : list) {
    const std::string text = item.is_string() ? item.get<std::string>() : "";
    const std::size_t assigned = assigned_in_word(text);
    if (secret_next && !text.starts_with("-")) {
      copy.push_back(taken_out(item));
    } else if (assigned < text.size()) {
      copy.push_back(text.substr(0, assigned) + taken_out(text.substr(assigned)).get<std::string>());
    } else {
      copy.push_back(redact_value(item));
    }
    secret_next = text.starts_with("-") && text.find('=') == std::string::npos && text.find(' ') == std::string::npos &&
                  sounds_secret(text);
  }
  return copy;
}

Json Redactor::redact_options(const Json& options, const std::string& driver) {
  const auto schema = schemas_(driver);
  if (schema) return redact_by_schema(options, *schema, *schema, 0);
  Json copy = Json::object();
  for (const auto& [key, child] : options.items()) copy[key] = taken_out(child);
  return copy;
}

namespace {

std::vector<Json> schemas_of(const Json& schema, const std::string& key) {
  std::vector<Json> found;
  const Json properties = object_at(schema, "properties").value_or(Json::object());
  if (properties.contains(key)) found.push_back(properties.at(key));
  const Json patterns = object_at(schema, "patternProperties").value_or(Json::object());
  for (const auto& [pattern, one] : patterns.items()) {
    if (matches(key, pattern)) found.push_back(one);
  }
  if (found.empty()) found.push_back(schema.value("additionalProperties", Json()));
  return found;
}

Json schema_of_item(const Json& schema, std::size_t index) {
  Json items = schema.value("items", Json());
  if (!items.is_array()) return items;
  return index < items.size() ? items.at(index) : schema.value("additionalItems", Json());
}

}  // namespace

Json Redactor::redact_by_schema(const Json& value, const Json& schema, const Json& root, int depth) {
  if (!schema.is_object()) return redact_value(value);
  if (depth > deepest_schema || schema.value("/writeOnly"_json_pointer, Json(false)) == Json(true)) {
    return taken_out(value);
  }
  Json copy = value;
  if (const std::string reference = string_or(schema, "$ref"); !reference.empty()) {
    const auto other = referred(root, reference);
    if (!other) return taken_out(value);
    copy = redact_by_schema(copy, *other, root, depth + 1);
  }
  for (const char* several : {"allOf", "anyOf", "oneOf"}) {
    if (!schema.contains(several) || !schema.at(several).is_array()) continue;
    for (const Json& one : schema.at(several)) copy = redact_by_schema(copy, one, root, depth + 1);
  }
  for (const char* branch : {"then", "else"}) {
    if (schema.contains(branch)) copy = redact_by_schema(copy, schema.at(branch), root, depth + 1);
  }
  if (copy.is_object()) {
    for (auto& [key, child] : copy.items()) {
      if (sounds_secret(key)) {
        child = taken_out(child);
        continue;
      }
      for (const Json& one : schemas_of(schema, key)) child = redact_by_schema(child, one, root, depth + 1);
    }
  } else if (copy.is_array()) {
    for (std::size_t i = 0; i < copy.size(); ++i) {
      copy[i] = redact_by_schema(copy[i], schema_of_item(schema, i), root, depth + 1);
    }
  }
  return copy.is_object() ? copy : redact_value(copy);
}

std::string Redactor::redact_text(std::string_view whole) {
  std::string text = without_private_keys(std::string(whole));
  for (const std::string& secret : learned_) {
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
      text.replace(at, secret.size(), left_out);
      at += std::string_view(left_out).size();
      ++taken_;
    }
  }
  hide_passwords_of_urls(text, [this](std::string password) {
    if (learning_ != nullptr) learning_->insert(std::move(password));
  });
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    out += redact_line(std::string_view(text).substr(begin, end - begin));
    if (end == std::string::npos) break;
    out += '\n';
    begin = end + 1;
  }
  return out;
}

std::string Redactor::redact_line(std::string_view line) {
  std::string out;
  std::size_t kept = 0;
  for (std::size_t at = 0; at < line.size();) {
    if (!names_letter(line[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < line.size() && names_letter(line[at])) ++at;
    const std::string_view name = line.substr(begin, at - begin);
    // QEMU's secret objects have theirs in `data`.
    const bool qemu_data = name == "data" && line.substr(0, begin).rfind("secret") != std::string_view::npos;
    if (!sounds_secret(name) && !qemu_data) continue;
    std::size_t next = at;
    while (next < line.size() && (line[next] == '"' || line[next] == '\'' || line[next] == '\\')) ++next;
    while (next < line.size() && blank(line[next])) ++next;
    const bool assigned = next < line.size() && (line[next] == '=' || line[next] == ':');
    const bool follows = !assigned && name.starts_with('-') && next > at;
    if (!assigned && !follows) continue;
    const auto [value, value_end] = value_at(line, assigned ? next + 1 : next);
    const std::size_t end = whole_end(line, name, value, value_end);
    if (end <= value || line.substr(value).starts_with(left_out) || (follows && line[value] == '-')) continue;
    if (learning_ != nullptr) learning_->insert(std::string(line.substr(value, end - value)));
    out += std::string(line.substr(kept, value - kept)) + left_out;
    ++taken_;
    kept = at = end;
  }
  return out + std::string(line.substr(kept));
}

}  // namespace bulkhead::cli
