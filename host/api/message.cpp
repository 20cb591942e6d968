#include "api/message.hpp"

#include <charconv>
#include <utility>

namespace bulkhead::api {

namespace {

std::string value_of(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string{} : found->second;
}

std::string title_of(Code code) {
  std::string title(name(code));
  for (char& c : title) {
    if (c == '_') c = ' ';
  }
  return title;
}

}  // namespace

int status_of(Code code) {
  switch (code) {
    case Code::invalid:
    case Code::refused: return 422;
    case Code::not_found: return 404;
    case Code::exists:
    case Code::busy:
    case Code::foreign:
    case Code::cancelled: return 409;
    case Code::unsupported:
    case Code::incompatible: return 501;
    case Code::unavailable: return 503;
    case Code::denied: return 403;
    case Code::timed_out: return 504;
    case Code::gone: return 410;
    case Code::unknown:
    case Code::io:
    case Code::internal: return 500;
  }
  return 500;
}

std::string query_value(const Request& request, const std::string& key) { return value_of(request.query, key); }

std::string header_value(const Request& request, const std::string& lower_case_name) {
  return value_of(request.headers, lower_case_name);
}

Result<Flag> query_flag(const Request& request, const std::string& key) {
  const std::string text = query_value(request, key);
  if (text.empty() || text == "false") return Flag::off;
  if (text == "true") return Flag::on;
  return fail(Code::invalid, "read query '" + key + "': '" + text.substr(0, 40) + "' is neither true nor false");
}

Result<std::uint64_t> query_number(const Request& request, const std::string& key, std::uint64_t otherwise) {
  const std::string text = query_value(request, key);
  if (text.empty()) return otherwise;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;
  return fail(Code::invalid, "read query '" + key + "': '" + text.substr(0, 40) + "' is no number from 0 on");
}

Json problem(const Error& error) {
  Json json{{"type", "urn:bulkhead:" + std::string(name(error.code))},
            {"title", title_of(error.code)},
            {"status", status_of(error.code)},
            {"detail", error.what},
            {"code", name(error.code)}};
  if (!error.hint.empty()) json["hint"] = error.hint;
  if (!error.problems.empty()) json["problems"] = to_json(error)["problems"];
  return json;
}

Error error_from_problem(const Json& problem) {
  Json plain = problem;
  plain["message"] = string_or(problem, "detail");
  return error_from_json(plain);
}

Response failure(const Error& error) {
  return Response{.status = status_of(error.code),
                  .body = problem(error),
                  .headers = {{"content-type", "application/problem+json"}}};
}

Result<Json> outcome(Response response) {
  if (response.status < 400) return std::move(response.body);
  // Agents of versions before 0.2 answer with {"error": {code, message, hint, problems}}.
  if (const auto error = object_at(response.body, "error")) return std::unexpected(error_from_json(*error));
  if (!response.body.contains("code")) {
    return fail(Code::internal, "read an answer: status " + std::to_string(response.status) + " without an error");
  }
  return std::unexpected(error_from_problem(response.body));
}

}  // namespace bulkhead::api
