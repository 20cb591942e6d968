#include "base/timestamp.hpp"

#include "support/catch.hpp"

using namespace std::chrono;
using bulkhead::timestamp;

TEST_CASE("a time is written in UTC with milliseconds") {
  CHECK(timestamp(sys_days{2024y / May / 1d} + 12h + 34min + 56s + 7ms) == "2024-05-01T12:34:56.007Z");
}

TEST_CASE("what is below a millisecond is cut, not rounded up") {
  CHECK(timestamp(sys_days{2024y / December / 31d} + 23h + 59min + 59s + 999ms) == "2024-12-31T23:59:59.999Z");
  CHECK(timestamp(time_point_cast<system_clock::duration>(sys_days{2024y / December / 31d} + 24h - 100ns)) ==
        "2024-12-31T23:59:59.999Z");
}

TEST_CASE("leap days and times before 1970 are dates like any other") {
  CHECK(timestamp(sys_days{2024y / February / 29d}) == "2024-02-29T00:00:00.000Z");
  CHECK(timestamp(system_clock::time_point{}) == "1970-01-01T00:00:00.000Z");
  CHECK(timestamp(system_clock::time_point{} - 1ms) == "1969-12-31T23:59:59.999Z");
}
