#include "daemon/idempotency.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::daemon {

namespace {

// How long the client waits for the answer is not part of what he asks for.
std::string text_of(const api::Request& request) {
  auto query = request.query;
  query.erase("wait");
  return request.method + " " + request.path + " " + dump(Json(query)) + " " + dump(request.body);
}

}  // namespace

Result<const Idempotency::Outcome*> Idempotency::seen(const std::string& key, const api::Request& request,
                                                      Clock::time_point now) {
  if (key.size() > longest_key) {
    return fail(Code::invalid, "read Idempotency-Key: longer than " + std::to_string(longest_key) + " characters");
  }
  while (!entries_.empty() && now - entries_.front().at > kept_for) forget_oldest();
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found == entries_.end()) return nullptr;
  if (found->request != text_of(request)) {
    return fail(Code::invalid, "read Idempotency-Key: '" + key + "' was used for another request",
                "use a new key for each new request");
  }
  return &found->outcome;
}

void Idempotency::keep(const std::string& key, const api::Request& request, Outcome outcome, Clock::time_point now) {
  std::string text = text_of(request);
  const std::size_t bytes = key.size() + text.size() + dump(outcome.response.body).size();
  while (!entries_.empty() && (entries_.size() >= most_keys || bytes_ + bytes > most_bytes)) forget_oldest();
  bytes_ += bytes;
  entries_.push_back(
      {.key = key, .request = std::move(text), .outcome = std::move(outcome), .at = now, .bytes = bytes});
}

void Idempotency::forget_oldest() {
  bytes_ -= entries_.front().bytes;
  entries_.pop_front();
}

}  // namespace bulkhead::daemon
