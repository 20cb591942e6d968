#include "daemon/idempotency.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::daemon;
using namespace std::chrono_literals;

namespace {

const Clock::time_point noon{};

api::Request start(const std::string& vm, Json body = Json::object()) {
  return {.method = "POST", .path = "/v1/vms/" + vm + "/start", .body = std::move(body)};
}

Idempotency::Outcome answered(int status) {
  Idempotency::Outcome outcome;
  outcome.response.status = status;
  return outcome;
}

}  // namespace

TEST_CASE("the first request of a key is carried out, and the same request with it is answered alike") {
  Idempotency keys;
  REQUIRE(keys.seen("k", start("a"), noon).value() == nullptr);
  keys.keep("k", start("a"), answered(201), noon);
  const auto* again = keys.seen("k", start("a"), noon + 59min).value();
  REQUIRE(again != nullptr);
  CHECK(again->response.status == 201);
}

TEST_CASE("how long a client waits is not part of what he asks for") {
  Idempotency keys;
  keys.keep("k", start("a"), answered(202), noon);
  api::Request waiting = start("a");
  waiting.query["wait"] = "30s";
  CHECK(keys.seen("k", waiting, noon).value() != nullptr);
}

TEST_CASE("a key that was used for another request is refused") {
  Idempotency keys;
  keys.keep("k", start("a"), answered(202), noon);
  CHECK(keys.seen("k", start("b"), noon).error().code == Code::invalid);
  CHECK(keys.seen("k", start("a", {{"timeout_ms", 1}}), noon).error().code == Code::invalid);
}

TEST_CASE("a key is forgotten after an hour, and the oldest when there are too many") {
  Idempotency keys;
  keys.keep("old", start("a"), answered(202), noon);
  CHECK(keys.seen("old", start("a"), noon + 61min).value() == nullptr);
  for (std::size_t i = 0; i <= Idempotency::most_keys; ++i) {
    keys.keep("k" + std::to_string(i), start("a"), answered(202), noon);
  }
  CHECK(keys.seen("k0", start("a"), noon).value() == nullptr);
  CHECK(keys.seen("k1", start("a"), noon).value() != nullptr);
}

TEST_CASE("X04: requests that are large do not add up: the oldest keys are forgotten") {
  Idempotency keys;
  const Json large{{"spec", std::string(1U << 20, 'x')}};
  for (int i = 0; i < 20; ++i) keys.keep("k" + std::to_string(i), start("a", large), answered(201), noon);
  CHECK(keys.seen("k0", start("a", large), noon).value() == nullptr);
  CHECK(keys.seen("k19", start("a", large), noon).value() != nullptr);
}

TEST_CASE("a key that is too long is refused") {
  Idempotency keys;
  CHECK(keys.seen(std::string(129, 'k'), start("a"), noon).error().code == Code::invalid);
}
