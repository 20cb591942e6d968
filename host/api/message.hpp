#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/async.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

// Requests and answers between the programs: HTTP/1.1 with JSON bodies on a local socket. docs/api.md and openapi.json
// have the resources.
namespace bulkhead::api {

// All in clear text: the encoding of a URL is the client's and the server's affair.
struct Request {
  std::string method;                            // "GET", "POST", "PUT", "DELETE"
  std::string path;                              // "/v1/vms/dev"
  std::map<std::string, std::string> query{};    // the last of several with one name
  std::map<std::string, std::string> headers{};  // names in lower case
  Json body = Json::object();
};

// What a stream sends next, and ends with "". It must return at least every few seconds: only then is it noticed that
// the client has gone.
using Stream = std::function<Task<std::string>()>;

struct Response {
  int status = 200;
  Json body = Json::object();
  std::map<std::string, std::string> headers{};
  Stream stream{};  // server-sent events instead of the body
};

// "" when it is not there.
std::string query_value(const Request& request, const std::string& key);
std::string header_value(const Request& request, const std::string& lower_case_name);
// invalid: neither true nor false.
Result<Flag> query_flag(const Request& request, const std::string& key);
// invalid: no number from 0 on.
Result<std::uint64_t> query_number(const Request& request, const std::string& key, std::uint64_t otherwise);

// RFC 9457: {type, title, status, detail} and our {code, hint, problems}.
Json problem(const Error& error);
Error error_from_problem(const Json& problem);
int status_of(Code code);
// 400, 404, 409, ... for a code; the body is the problem.
Response failure(const Error& error);
// The body of an answer below 400, else its error.
Result<Json> outcome(Response response);

using Handler = std::function<Task<Response>(Request)>;

struct Limits {
  std::uint64_t body_bytes = 1U << 20;
  std::uint32_t header_bytes = 16U << 10;
  std::size_t connections = 64;       // that have not sent their request yet
  std::size_t requests = 1024;        // that are being handled
  std::size_t streams = 64;           // that are open
  milliseconds request_time{10'000};  // for a request to arrive whole, once its connection is open, and for each write
};

}  // namespace bulkhead::api
