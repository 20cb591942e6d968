#include "agent/journal.hpp"

#include <chrono>
#include <utility>

namespace bulkhead::agent {

void Journal::add(const std::string& event, Json detail) {
  const auto now = std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
  events_.push_back({{"number", ++last_},
                     {"event", event},
                     {"detail", std::move(detail)},
                     {"at_ms", now.time_since_epoch().count()}});
  if (events_.size() > kept) events_.pop_front();
  changed_.notify();
}

void Journal::close() {
  closed_ = true;
  changed_.notify();
}

Task<Json> Journal::read(std::uint64_t after, Deadline deadline) {
  while (last_ <= after && !closed_ && Clock::now() < deadline) co_await changed_.wait(deadline);
  Json found = Json::array();
  // A driver's events may be large; the rest comes with the next read.
  constexpr std::size_t most_bytes = 1U << 20;
  std::size_t bytes = 0;
  for (const Json& event : events_) {
    if (event.at("number").get<std::uint64_t>() <= after) continue;
    bytes += dump(event).size();
    if (bytes > most_bytes && !found.empty()) break;
    found.push_back(event);
  }
  co_return found;
}

}  // namespace bulkhead::agent
