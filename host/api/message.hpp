#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/async.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

// Requests and answers between the programs: HTTP/1.1 with JSON bodies on a local socket. docs/api.md lists the
// resources.
namespace bulkhead::api {

struct Request {
  std::string method;  // "GET", "POST", "DELETE"
  std::string path;    // "/v1/vms/dev", without the query
  std::string query{};
  Json body = Json::object();
};

struct Response {
  int status = 200;
  Json body = Json::object();
};

// The value of `key` in "a=1&b=2"; "" when it is not there. Values are not percent-encoded by our clients.
std::string query_value(const Request& request, const std::string& key);

// 400, 404, 409, ... for a code; the body is {"error": {code, message, hint, problems}}.
Response failure(const Error& error);
// The body of an answer below 400, else its error.
Result<Json> outcome(Response response);

using Handler = std::function<Task<Response>(Request)>;

struct Limits {
  std::uint64_t body_bytes = 1U << 20;
  std::uint32_t header_bytes = 16U << 10;
  std::size_t connections = 64;       // that have not sent their request yet
  milliseconds request_time{10'000};  // for a request to arrive whole, once its connection is open
};

}  // namespace bulkhead::api
