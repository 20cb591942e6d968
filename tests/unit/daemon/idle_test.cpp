#include "daemon/idle.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace std::chrono_literals;
using daemon::Idle;
using Seen = daemon::Idle::Seen;

namespace {
const Deadline start{1000s};
}

TEST_CASE("without a limit a daemon never ends by itself") {
  Idle idle(start);
  CHECK_FALSE(idle.over(Seen::nobody, start + 24h));
  CHECK(idle.next_look(start) > start);
}

TEST_CASE("a daemon that nobody needs ends when the limit is over, and not before") {
  Idle idle(start);
  idle.set_limit(10s);
  CHECK_FALSE(idle.over(Seen::nobody, start + 9999ms));
  CHECK(idle.over(Seen::nobody, start + 10s));
}

TEST_CASE("a VM that runs keeps it alive, and its end begins the time anew") {
  Idle idle(start);
  idle.set_limit(10s);
  CHECK_FALSE(idle.over(Seen::busy, start + 1h));
  CHECK_FALSE(idle.over(Seen::nobody, start + 1h + 9s));
  CHECK_FALSE(idle.over(Seen::busy, start + 1h + 10s));
  CHECK_FALSE(idle.over(Seen::nobody, start + 1h + 19s));
  CHECK(idle.over(Seen::nobody, start + 1h + 20s));
}

TEST_CASE("a request between two looks begins the time anew") {
  Idle idle(start);
  idle.set_limit(10s);
  idle.used(start + 5s);
  CHECK_FALSE(idle.over(Seen::nobody, start + 14s));
  CHECK(idle.over(Seen::nobody, start + 15s));
}

TEST_CASE("a limit that is set later counts from the last use") {
  Idle idle(start);
  CHECK_FALSE(idle.over(Seen::nobody, start + 1h));
  idle.set_limit(10s);
  CHECK(idle.over(Seen::nobody, start + 1h));
  idle.set_limit(std::nullopt);
  CHECK_FALSE(idle.over(Seen::nobody, start + 2h));
}

TEST_CASE("the next look is never later than the limit, never later than a second, and always in the future") {
  Idle idle(start);
  idle.set_limit(2s);
  CHECK(idle.next_look(start) == start + 1s);
  CHECK(idle.next_look(start + 1500ms) == start + 2s);
  CHECK(idle.next_look(start + 2s) > start + 2s);
  CHECK(idle.next_look(start + 1h) > start + 1h);
}
