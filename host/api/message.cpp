#include "api/message.hpp"

#include <string_view>
#include <utility>

namespace bulkhead::api {

namespace {

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

}  // namespace

std::string query_value(const Request& request, const std::string& key) {
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) == key)
      return equals == std::string_view::npos ? "" : std::string(pair.substr(equals + 1));
  }
  return {};
}

Response failure(const Error& error) {
  return Response{.status = status_of(error.code), .body = {{"error", to_json(error)}}};
}

Result<Json> outcome(Response response) {
  if (response.status < 400) return std::move(response.body);
  const auto error = object_at(response.body, "error");
  if (!error) {
    return fail(Code::internal, "read an answer: status " + std::to_string(response.status) + " without an error");
  }
  return std::unexpected(error_from_json(*error));
}

}  // namespace bulkhead::api
