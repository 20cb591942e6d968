#pragma once

#include <list>
#include <memory>
#include <string>

#include "api/message.hpp"
#include "base/deadline.hpp"

namespace bulkhead::daemon {

struct Operation;

// Which requests were made with which key, so that one that is repeated is not carried out twice. Pure.
class Idempotency {
 public:
  static constexpr std::size_t most_keys = 1'000;
  static constexpr std::size_t longest_key = 128;
  static constexpr std::size_t most_bytes = 16U << 20;  // of all requests and answers together
  static constexpr std::chrono::hours kept_for{1};

  // What a request came to: an operation, or an answer.
  struct Outcome {
    std::shared_ptr<Operation> operation{};
    api::Response response{};
  };

  // Nothing: it is the first of its key. invalid: the key was used for another request.
  Result<const Outcome*> seen(const std::string& key, const api::Request& request, Clock::time_point now);
  void keep(const std::string& key, const api::Request& request, Outcome outcome, Clock::time_point now);

 private:
  struct Entry {
    std::string key;
    std::string request;
    Outcome outcome;
    Clock::time_point at;
    std::size_t bytes;
  };
  void forget_oldest();
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  // the oldest first
};

}  // namespace bulkhead::daemon
