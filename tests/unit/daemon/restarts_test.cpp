#include "daemon/restarts.hpp"

#include <vector>

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::daemon;
using namespace std::chrono_literals;
using End = Restarts::End;
using Policy = store::Restart::Policy;

namespace {

store::Restart settings(Policy policy, int limit = 5) {
  return {.policy = policy, .delay = 1s, .max_delay = 5s, .reset_after = 60s, .limit = limit};
}

}  // namespace

TEST_CASE("S10: without a policy nothing is started again") {
  Restarts restarts;
  CHECK_FALSE(restarts.after(End::failed, 1s, settings(Policy::never)));
  CHECK_FALSE(restarts.gave_up());
  CHECK(restarts.count() == 0);
}

TEST_CASE("S10: on-failure restarts what failed and not what ended well, always restarts both") {
  Restarts restarts;
  CHECK(restarts.after(End::failed, 1s, settings(Policy::on_failure)));
  CHECK_FALSE(restarts.after(End::clean, 1s, settings(Policy::on_failure)));
  CHECK_FALSE(restarts.gave_up());
  CHECK(restarts.after(End::clean, 1s, settings(Policy::always)));
}

TEST_CASE("S10: the delay doubles up to its maximum, and after the limit it gives up") {
  Restarts restarts;
  std::vector<milliseconds> delays;
  while (auto delay = restarts.after(End::failed, 1s, settings(Policy::on_failure))) delays.push_back(*delay);
  CHECK(delays == std::vector<milliseconds>{1s, 2s, 4s, 5s, 5s});
  CHECK(restarts.gave_up());
  CHECK(restarts.count() == 5);
}

TEST_CASE("S10: a limit of 0 is none, and the delay stays at its maximum for ever") {
  Restarts restarts;
  for (int i = 0; i < 200; ++i) REQUIRE(restarts.after(End::failed, 0s, settings(Policy::on_failure, 0)));
  CHECK(*restarts.after(End::failed, 0s, settings(Policy::on_failure, 0)) == 5s);
  CHECK_FALSE(restarts.gave_up());
}

TEST_CASE("S10: a run that lasted long enough is a success, and the count begins anew") {
  Restarts restarts;
  for (int i = 0; i < 4; ++i) restarts.after(End::failed, 1s, settings(Policy::on_failure));
  CHECK(*restarts.after(End::failed, 60s, settings(Policy::on_failure)) == 1s);
  CHECK(restarts.count() == 1);
}

TEST_CASE("S10: a client that takes it in hand begins anew, and what an earlier daemon counted goes on") {
  Restarts restarts;
  restarts.resume(5);
  CHECK_FALSE(restarts.after(End::failed, 1s, settings(Policy::on_failure)));
  CHECK(restarts.gave_up());
  restarts.forget();
  CHECK_FALSE(restarts.gave_up());
  CHECK(*restarts.after(End::failed, 1s, settings(Policy::on_failure)) == 1s);
}

TEST_CASE("a first delay that is longer than the maximum is kept") {
  Restarts restarts;
  store::Restart odd = settings(Policy::always);
  odd.delay = 20s;
  CHECK(*restarts.after(End::failed, 1s, odd) == 20s);
  CHECK(*restarts.after(End::failed, 1s, odd) == 20s);
}
