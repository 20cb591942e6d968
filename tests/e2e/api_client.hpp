#pragma once

#include <functional>
#include <map>
#include <string>

#include "api/client.hpp"
#include "e2e/host_under_test.hpp"

namespace bulkhead::e2e {

// A program that uses the API. Every answer is held against the OpenAPI document that the daemon serves.
class ApiClient {
 public:
  using Pairs = std::map<std::string, std::string>;
  // Of the daemon that runs.
  explicit ApiClient(const HostUnderTest& host);

  struct Asked {
    std::string method;
    std::string path;
    Pairs query{};
    Json body = Json::object();
    Pairs headers{};
  };
  // The answer, whatever it is; it fits the document.
  api::Response ask(const Asked& asked) const;
  // With this status: the body.
  Json expect(int status, const Asked& asked) const;
  // Each event until `take` says false; fails the test after a generous time.
  void follow(const Asked& asked, const std::function<bool(const Json& event)>& take) const;

  Json create(const Json& spec) const;
  const std::filesystem::path& socket() const { return socket_; }
  const Json& document() const { return document_; }

 private:
  void check(const Asked& asked, const api::Response& response) const;

  std::filesystem::path socket_;
  Json document_;
};

}  // namespace bulkhead::e2e
