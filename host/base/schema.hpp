#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace valijson {
class Schema;
}

namespace bulkhead {

// A compiled JSON Schema (draft 7; local references only).
class Schema {
 public:
  // `what` names the schema in errors.
  static Result<Schema> compile(Json document, std::string_view what);

  // Everything that is wrong with `value`, in document order, each with a JSON pointer that begins with `prefix`. An
  // unknown key gets a "did you mean"; a value that breaks a pattern gets the schema's "examples" as its hint.
  std::vector<Problem> check(const Json& value, std::string_view prefix = {}) const;

  const Json& document() const { return document_; }

 private:
  Schema(Json document, std::shared_ptr<const valijson::Schema> compiled)
      : document_(std::move(document)), compiled_(std::move(compiled)) {}
  Json document_;
  std::shared_ptr<const valijson::Schema> compiled_;
};

}  // namespace bulkhead
