#include "base/schema.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/suggest.hpp"

namespace bulkhead {

namespace {

// valijson's context is {"<root>", "[boot]", "[0]"}.
std::vector<std::string> path_of(const std::vector<std::string>& context) {
  std::vector<std::string> path;
  for (const std::string& part : context) {
    if (part.size() >= 2 && part.front() == '[' && part.back() == ']') path.push_back(part.substr(1, part.size() - 2));
  }
  return path;
}

std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

const Json* resolved(const Json& root, const Json* node) {
  for (int hops = 0; node != nullptr && node->is_object() && node->contains("$ref") && hops < 8; ++hops) {
    const auto ref = string_or(*node, "$ref");
    if (!ref.starts_with("#")) return nullptr;
    const auto pointer = Json::json_pointer(ref.substr(1));
    node = root.contains(pointer) ? &root.at(pointer) : nullptr;
  }
  return node;
}

// The part of the schema that governs the value at `path`, or null where it cannot be told.
const Json* governing(const Json& root, const std::vector<std::string>& path) {
  const Json* node = &root;
  for (const std::string& key : path) {
    node = resolved(root, node);
    if (node == nullptr || !node->is_object()) return nullptr;
    const auto properties = node->find("properties");
    if (properties != node->end() && properties->contains(key)) {
      node = &properties->at(key);
    } else if (const auto items = node->find("items"); items != node->end()) {
      node = &*items;
    } else {
      return nullptr;
    }
  }
  return resolved(root, node);
}

const Json* value_at(const Json& root, const std::vector<std::string>& path) {
  const Json* node = &root;
  for (const std::string& key : path) {
    if (node->is_object() && node->contains(key)) {
      node = &node->at(key);
    } else if (node->is_array() && !key.empty() &&
               std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; }) && key.size() < 9 &&
               std::stoul(key) < node->size()) {
      node = &node->at(std::stoul(key));
    } else {
      return nullptr;
    }
  }
  return node;
}

std::string shown(const Json& value) {
  std::string text = dump(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string joined(const Json& list) {
  std::string text;
  for (const Json& entry : list) {
    if (!text.empty()) text += ", ";
    text += shown(entry);
  }
  return text;
}

std::string example_hint(const Json& schema) {
  const auto examples = schema.find("examples");
  if (examples == schema.end() || !examples->is_array() || examples->empty()) return {};
  return "write it like " + joined(*examples);
}

// valijson's "Expected number less than or equal to 64.000000" in our words.
std::string plain(std::string text) {
  if (const auto dot = text.find(".000000"); dot != std::string::npos) text.erase(dot, 7);
  if (text.ends_with('.')) text.pop_back();
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

// std::regex takes stack for each character that it looks at: a pattern and a text of some 100,000 end the program. No
// text in our documents is longer than a path.
constexpr std::size_t longest_text = 4096;

void find_long_texts(const Json& value, const std::string& pointer, std::vector<Problem>& problems) {
  if (value.is_string()) {
    const std::size_t size = value.get_ref<const std::string&>().size();
    if (size <= longest_text) return;
    problems.push_back({pointer, "has " + std::to_string(size) + " bytes, at most 4096 are allowed", {}});
  } else if (value.is_object()) {
    for (const auto& [key, child] : value.items()) find_long_texts(child, pointer + "/" + escaped(key), problems);
  } else if (value.is_array()) {
    std::size_t index = 0;
    for (const Json& child : value) find_long_texts(child, pointer + "/" + std::to_string(index++), problems);
  }
}

// valijson reads patterns when it first uses them. Throws what std::regex throws.
void try_patterns(const Json& schema) {
  if (schema.is_object()) {
    if (const auto it = schema.find("pattern"); it != schema.end() && it->is_string())
      std::regex(it->get<std::string>());
    if (const auto it = schema.find("patternProperties"); it != schema.end() && it->is_object()) {
      for (const auto& [pattern, unused] : it->items()) std::regex{pattern};
    }
  }
  if (schema.is_structured()) {
    for (const Json& child : schema) try_patterns(child);
  }
}

// Collects problems, each place and reason once.
class Report {
 public:
  Report(const Json& schema, const Json& value, std::string_view prefix)
      : schema_(schema), value_(value), prefix_(prefix) {}

  void add(const std::vector<std::string>& path, const std::string& description) {
    // A parent's "my child is wrong" says nothing that the child's own problem does not.
    if (description.starts_with("Failed to validate against schema associated with") ||
        description.starts_with("Failed to validate item #")) {
      return;
    }
    const Json* value = value_at(value_, path);
    const Json* rule = governing(schema_, path);
    if (value != nullptr && rule != nullptr && add_known(path, description, *value, *rule)) return;
    put(path, plain(description), {});
  }

  std::vector<Problem> take() { return std::move(problems_); }

 private:
  bool add_known(const std::vector<std::string>& path, const std::string& description, const Json& value,
                 const Json& rule) {
    if (description.starts_with("Object contains a property") && value.is_object()) {
      add_unknown_keys(path, value, rule);
    } else if (description.starts_with("Missing required property")) {
      for (const Json& key : rule.value("required", Json::array())) {
        if (!value.contains(key.get<std::string>()))
          put(path, "required key '" + key.get<std::string>() + "' is missing", {});
      }
    } else if (description.starts_with("Value type not permitted") && rule.contains("type")) {
      const Json& type = rule.at("type");
      const std::string wanted = type.is_string() ? type.get<std::string>() : joined(type);
      put(path, "expected " + wanted + ", got " + std::string(value.type_name()) + " " + shown(value),
          example_hint(rule));
    } else if (description.starts_with("Failed to match against any enum") && rule.contains("enum")) {
      add_not_listed(path, value, rule.at("enum"));
    } else if (description.starts_with("Failed to match regex")) {
      put(path, shown(value) + " is not written as expected", example_hint(rule));
    } else if (description.starts_with("Expected number")) {
      put(path, plain(description) + ", got " + shown(value), {});
    } else {
      return false;
    }
    return true;
  }

  void add_unknown_keys(const std::vector<std::string>& path, const Json& value, const Json& rule) {
    std::vector<std::string> known;
    const Json properties = rule.value("properties", Json::object());
    for (const auto& [key, unused] : properties.items()) known.push_back(key);
    for (const auto& [key, unused] : value.items()) {
      if (properties.contains(key)) continue;
      std::vector<std::string> place = path;
      place.push_back(key);
      const auto meant = suggest(key, known);
      std::string hint = meant ? "did you mean '" + *meant + "'?" : "known keys: " + joined(Json(known));
      put(place, "unknown key '" + key + "'", std::move(hint));
    }
  }

  void add_not_listed(const std::vector<std::string>& path, const Json& value, const Json& allowed) {
    std::vector<std::string> words;
    for (const Json& word : allowed) {
      if (word.is_string()) words.push_back(word.get<std::string>());
    }
    const auto meant = value.is_string() ? suggest(value.get<std::string>(), words) : std::nullopt;
    put(path, shown(value) + " is not one of " + joined(allowed), meant ? "did you mean \"" + *meant + "\"?" : "");
  }

  void put(const std::vector<std::string>& path, std::string reason, std::string hint) {
    std::string pointer = prefix_;
    for (const std::string& key : path) pointer += "/" + escaped(key);
    if (!seen_.insert(pointer + "\n" + reason).second) return;
    problems_.push_back({std::move(pointer), std::move(reason), std::move(hint)});
  }

  const Json& schema_;
  const Json& value_;
  std::string prefix_;
  std::set<std::string> seen_;
  std::vector<Problem> problems_;
};

}  // namespace

Result<Schema> Schema::compile(Json document, std::string_view what) {
  try {
    auto compiled = std::make_shared<valijson::Schema>();
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    const valijson::adapters::NlohmannJsonAdapter adapter(document);
    parser.populateSchema(adapter, *compiled);
    try_patterns(document);
    return Schema{std::move(document), std::move(compiled)};
  } catch (const std::exception& e) {
    return fail(Code::invalid, "compile schema '" + std::string(what) + "': " + e.what());
  }
}

std::vector<Problem> Schema::check(const Json& value, std::string_view prefix) const {
  std::vector<Problem> long_texts;
  find_long_texts(value, std::string(prefix), long_texts);
  if (!long_texts.empty()) return long_texts;
  valijson::ValidationResults results;
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  const valijson::adapters::NlohmannJsonAdapter adapter(value);
  if (validator.validate(*compiled_, adapter, &results)) return {};
  Report report(document_, value, prefix);
  for (const auto& error : results) report.add(path_of(error.context), error.description);
  auto problems = report.take();
  // valijson said no: never answer "nothing is wrong".
  if (problems.empty()) problems.push_back({std::string(prefix), "does not match the schema", {}});
  return problems;
}

}  // namespace bulkhead
