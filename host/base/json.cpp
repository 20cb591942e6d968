#include "base/json.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead {

namespace {

std::string place_of(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte == 0 ? 0 : byte - 1, text.size()));
  const auto line = 1 + std::ranges::count(before, '\n');
  const auto last = before.rfind('\n');
  const auto column = 1 + before.size() - (last == std::string_view::npos ? 0 : last + 1);
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// nlohmann: "[json.exception.parse_error.101] parse error at line 1, column 2: <cause>"
std::string cause_of(std::string_view what) {
  const auto at = what.find("column ");
  const auto colon = at == std::string_view::npos ? at : what.find(": ", at);
  return std::string(colon == std::string_view::npos ? what : what.substr(colon + 2));
}

// None of our documents is nested deeper than ten levels, and copying or writing a value takes stack for each.
constexpr int max_depth = 64;

// The byte, counted from 1, at which a document becomes deeper than max_depth; nothing when it never does.
std::optional<std::size_t> too_deep_at(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) return i + 1;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return std::nullopt;
}

template <class T>
Result<T> mistyped(const char* key, const char* type) {
  return fail(Code::invalid, std::string("read '") + key + "': not " + type);
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what) {
  const std::string parse = "parse '" + std::string(what) + "': ";
  if (const auto byte = too_deep_at(text)) {
    return fail(Code::invalid,
                parse + place_of(text, *byte) + ": nested deeper than " + std::to_string(max_depth) + " levels");
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    return fail(Code::invalid, parse + place_of(text, e.byte) + ": " + cause_of(e.what()));
  } catch (const Json::exception& e) {  // a number that is too large, which the library reports without its place
    return fail(Code::invalid, parse + cause_of(e.what()));
  }
}

Result<std::string> string_at(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return mistyped<std::string>(key, "a string");
  return it->get<std::string>();
}

Result<std::int64_t> integer_at(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer()) return mistyped<std::int64_t>(key, "an integer");
  // Read as it is, a number from 2^63 on would become a negative one: a pid of -1.
  if (it->is_number_unsigned() && !std::in_range<std::int64_t>(it->get<std::uint64_t>())) {
    return mistyped<std::int64_t>(key, "an integer of 64 bits");
  }
  return it->get<std::int64_t>();
}

Result<Json> object_at(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_object()) return mistyped<Json>(key, "an object");
  return *it;
}

std::string string_or(const Json& object, const char* key, std::string_view otherwise) {
  return string_at(object, key).value_or(std::string(otherwise));
}

std::int64_t integer_or(const Json& object, const char* key, std::int64_t otherwise) {
  return integer_at(object, key).value_or(otherwise);
}

Flag flag_or(const Json& object, const char* key, Flag otherwise) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_boolean()) return otherwise;
  return it->get<bool>() ? Flag::on : Flag::off;
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string dump_pretty(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace); }

Json to_json(const Error& error) {
  Json json{{"code", name(error.code)}, {"message", error.what}};
  if (!error.hint.empty()) json["hint"] = error.hint;
  for (const Problem& p : error.problems) {
    Json problem{{"pointer", p.pointer}, {"reason", p.reason}};
    if (!p.hint.empty()) problem["hint"] = p.hint;
    json["problems"].push_back(std::move(problem));
  }
  return json;
}

Error error_from_json(const Json& value) {
  Error error{.code = code_named(string_or(value, "code", "internal")),
              .what = string_or(value, "message", "no message")};
  error.hint = string_or(value, "hint");
  if (const auto problems = value.find("problems"); problems != value.end() && problems->is_array()) {
    for (const Json& p : *problems) {
      error.problems.push_back({string_or(p, "pointer"), string_or(p, "reason"), string_or(p, "hint")});
    }
  }
  return error;
}

}  // namespace bulkhead
