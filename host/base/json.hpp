#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace bulkhead {

using Json = nlohmann::json;

// `what` names the document in the error: "parse 'vm.json': line 3, column 7: ...".
Result<Json> parse_json(std::string_view text, std::string_view what);

// Readers for documents that we wrote ourselves or that a peer sent: a missing or mistyped key is `invalid` and named.
Result<std::string> string_at(const Json& object, const char* key);
Result<std::int64_t> integer_at(const Json& object, const char* key);
Result<Json> object_at(const Json& object, const char* key);
// Missing or mistyped: the default.
std::string string_or(const Json& object, const char* key, std::string_view otherwise = {});
std::int64_t integer_or(const Json& object, const char* key, std::int64_t otherwise);
enum class Flag : bool { off, on };
Flag flag_or(const Json& object, const char* key, Flag otherwise);
inline bool on(Flag flag) { return flag == Flag::on; }

// UTF-8 that is not valid becomes U+FFFD: what a driver or a guest says can never make us throw.
std::string dump(const Json& value);
std::string dump_pretty(const Json& value);

Json to_json(const Error& error);
Error error_from_json(const Json& value);

}  // namespace bulkhead
