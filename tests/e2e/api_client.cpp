#include "e2e/api_client.hpp"

#include <algorithm>
#include <regex>

#include "base/schema.hpp"

namespace bulkhead::e2e {

namespace {

Deadline patience() { return Clock::now() + std::chrono::seconds{60}; }

api::Request to_request(const ApiClient::Asked& asked) {
  return {
      .method = asked.method, .path = asked.path, .query = asked.query, .headers = asked.headers, .body = asked.body};
}

// The path of the document that a path belongs to; the one without a parameter goes first.
std::string pattern_of(const Json& document, const std::string& path) {
  const Json& paths = document.at("paths");
  if (paths.contains(path)) return path;
  for (const auto& [pattern, methods] : paths.items()) {
    const std::string expression = std::regex_replace(pattern, std::regex(R"(\{[a-z]+\})"), "[^/]+");
    if (std::regex_match(path, std::regex(expression))) return pattern;
  }
  return {};
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  return text;
}

}  // namespace

ApiClient::ApiClient(const HostUnderTest& host) {
  const Json status = host.ok({"host", "status"});
  socket_ = std::filesystem::path(status.at("runtime_directory").get<std::string>()) / "host.sock";
  auto served = api::call_and_wait(socket_, {.method = "GET", .path = "/v1/openapi.json"}, patience());
  REQUIRE(served);
  REQUIRE(served->status == 200);
  document_ = served->body;
}

api::Response ApiClient::ask(const Asked& asked) const {
  INFO(asked.method << " " << asked.path << " " << asked.body.dump());
  auto answer = api::call_and_wait(socket_, to_request(asked), patience());
  INFO((answer ? "" : answer.error().what));
  REQUIRE(answer);
  check(asked, *answer);
  return *answer;
}

void ApiClient::check(const Asked& asked, const api::Response& response) const {
  const std::string pattern = pattern_of(document_, asked.path);
  const bool known = !pattern.empty() && document_.at("paths").at(pattern).contains(lower(asked.method));
  Json answer = document_.at("components").at("responses").at("Problem");
  if (known) {
    const Json& responses = document_.at("paths").at(pattern).at(lower(asked.method)).at("responses");
    const std::string status = std::to_string(response.status);
    if (responses.contains(status)) answer = responses.at(status);
  }
  const std::string type =
      answer.at("content").contains("application/json") ? "application/json" : "application/problem+json";
  if (type == "application/problem+json") CHECK(response.status >= 400);
  const Json wrapped{{"allOf", Json::array({answer.at("content").at(type).at("schema")})},
                     {"components", document_.at("components")}};
  const auto schema = Schema::compile(wrapped, asked.path);
  REQUIRE(schema);
  for (const Problem& problem : schema->check(response.body)) {
    FAIL_CHECK(asked.method << " " << asked.path << ": the answer is not what openapi.json says: " << problem.pointer
                            << ": " << problem.reason << "\n"
                            << response.body.dump(2));
  }
}

Json ApiClient::expect(int status, const Asked& asked) const {
  const api::Response response = ask(asked);
  INFO(response.body.dump(2));
  REQUIRE(response.status == status);
  return response.body;
}

void ApiClient::follow(const Asked& asked, const std::function<bool(const Json& event)>& take) const {
  api::Request request = to_request(asked);
  request.headers["accept"] = "text/event-stream";
  const auto ended = api::stream_and_wait(socket_, request, take, patience());
  INFO((ended ? "" : ended.error().what));
  REQUIRE(ended);
}

Json ApiClient::create(const Json& spec) const {
  const Json body{{"spec", spec}, {"folder", "/"}};
  return expect(201, {.method = "POST", .path = "/v1/vms", .body = body});
}

}  // namespace bulkhead::e2e
