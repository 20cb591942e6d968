#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/json.hpp"

// Takes secrets out of what is given away. Pure. It rather takes too much.
namespace bulkhead::cli {

// "password", "API_KEY", "authToken", ...
bool sounds_secret(std::string_view name);

class Redactor {
 public:
  // The schema of a driver's options, by the driver's name as a spec has it; nothing: not known. Then none of its
  // options is shown.
  using Schemas = std::function<std::optional<Json>(const std::string& driver)>;
  explicit Redactor(Schemas schemas) : schemas_(std::move(schemas)) {}

  // Remembers what is secret in it, to find it again in texts. To be called with all specs before anything is redacted.
  void learn(const Json& document);

  // Values of keys that sound secret, what a driver's schema marks "writeOnly", and secrets within texts.
  Json redact(const Json& document);
  // NAME=value, "name": "value", --name value, user:password@host, private keys, and what was learned.
  std::string redact_text(std::string_view text);

  // How many values were taken out so far.
  std::size_t taken() const { return taken_; }

 private:
  Json redact_value(const Json& value);
  Json redact_options(const Json& options, const std::string& driver);
  Json redact_by_schema(const Json& value, const Json& schema, const Json& root, int depth);
  Json redact_list(const Json& list);
  std::string redact_line(std::string_view line);
  Json taken_out(const Json& value);

  // A secret may begin with another one.
  struct LongestFirst {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() != b.size() ? a.size() > b.size() : a < b;
    }
  };

  Schemas schemas_;
  std::set<std::string, LongestFirst> learned_{};
  std::size_t taken_ = 0;
  std::set<std::string>* learning_ = nullptr;
};

inline constexpr const char* left_out = "[left out]";

}  // namespace bulkhead::cli
