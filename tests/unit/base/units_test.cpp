#include "base/units.hpp"

#include "support/catch.hpp"

using namespace std::chrono_literals;
using bulkhead::Code;
using bulkhead::count;
using bulkhead::parse_bytes;
using bulkhead::parse_duration;
using bulkhead::remaining;
using bulkhead::render;

TEST_CASE("a size is a whole number and a binary unit") {
  CHECK(count(parse_bytes("0B").value()) == 0);
  CHECK(count(parse_bytes("7B").value()) == 7);
  CHECK(count(parse_bytes("3KiB").value()) == 3072);
  CHECK(count(parse_bytes("512MiB").value()) == 536870912);
  CHECK(count(parse_bytes("2GiB").value()) == 2147483648);
  CHECK(count(parse_bytes("1TiB").value()) == 1099511627776);
}

TEST_CASE("anything else is not a size") {
  for (const char* text : {"", "512", "MiB", "512MB", "512 MiB", " 512MiB", "512MiB ", "512mib", "1.5GiB", "-1GiB",
                           "+1GiB", "0x10MiB", "1e3MiB", "1GiBGiB", "1_000MiB"}) {
    INFO("'" << text << "'");
    const auto parsed = parse_bytes(text);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().code == Code::invalid);
    CHECK(parsed.error().hint.find("512MiB") != std::string::npos);
  }
}

TEST_CASE("the largest size is accepted, and one more does not wrap around") {
  CHECK(count(parse_bytes("18446744073709551615B").value()) == UINT64_MAX);
  CHECK(count(parse_bytes("16777215TiB").value()) == 16777215ULL << 40);
  for (const char* text : {"18446744073709551616B", "16777216TiB", "18014398509481984KiB", "99999999999999999999TiB"}) {
    INFO(text);
    const auto parsed = parse_bytes(text);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().what.find("too large") != std::string::npos);
  }
}

TEST_CASE("a duration is a whole number and a unit") {
  CHECK(parse_duration("0s").value() == 0ms);
  CHECK(parse_duration("1500ms").value() == 1500ms);
  CHECK(parse_duration("30s").value() == 30s);
  CHECK(parse_duration("5m").value() == 5min);
  CHECK(parse_duration("24h").value() == 24h);
}

TEST_CASE("anything else is not a duration") {
  for (const char* text : {"", "30", "s", "30 s", "1.5s", "-1s", "30S", "30sec", "1d", "inf", "1h30m"}) {
    INFO("'" << text << "'");
    const auto parsed = parse_duration(text);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().what.find("not a whole number with a unit") != std::string::npos);
  }
}

TEST_CASE("a duration over 24 hours is refused, however large") {
  for (const char* text : {"25h", "86400001ms", "1441m", "18446744073709551615h", "99999999999999999999ms"}) {
    INFO(text);
    const auto parsed = parse_duration(text);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().what.find("longer than 24 hours") != std::string::npos);
  }
}

TEST_CASE("durations are shown in the unit that people read") {
  CHECK(render(0ms) == "0 ms");
  CHECK(render(999ms) == "999 ms");
  CHECK(render(1000ms) == "1 s");
  CHECK(render(1549ms) == "1.5 s");
  CHECK(render(30s) == "30 s");
  CHECK(render(2min) == "120 s");
}

TEST_CASE("what remains of a deadline is rounded up and never negative") {
  const bulkhead::Clock::time_point now{1h};
  CHECK(remaining(now + 5ms, now) == 5ms);
  CHECK(remaining(now + 1ns, now) == 1ms);
  CHECK(remaining(now, now) == 0ms);
  CHECK(remaining(now - 1h, now) == 0ms);
  CHECK(remaining(bulkhead::Deadline::max(), now) > 24h);
}
