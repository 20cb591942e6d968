#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/async.hpp"
#include "base/json.hpp"

namespace bulkhead::agent {

// The events of this run, numbered from 1, the last thousand kept. For the agent's own thread.
class Journal {
 public:
  void add(const std::string& event, Json detail);
  // Events with a number greater than `after`; waits for one until the deadline.
  Task<Json> read(std::uint64_t after, Deadline deadline);
  // Nobody waits any more.
  void close();

 private:
  static constexpr std::size_t kept = 1000;
  std::deque<Json> events_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
  Event changed_;
};

}  // namespace bulkhead::agent
