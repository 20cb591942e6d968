#include "driver/status.hpp"

#include "support/catch.hpp"

using bulkhead::Code;
using bulkhead::driver::code_of;
using bulkhead::driver::status_of;

TEST_CASE("outcomes that decide what happens to a VM keep their meaning both ways") {
  for (const Code code :
       {Code::gone, Code::foreign, Code::unknown, Code::timed_out, Code::cancelled, Code::busy, Code::denied,
        Code::unavailable, Code::unsupported, Code::incompatible, Code::internal, Code::invalid}) {
    INFO(bulkhead::name(code));
    CHECK(code_of(status_of(code)) == code);
  }
}

TEST_CASE("no failure of the host becomes a driver's success") {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) CHECK(status_of(static_cast<Code>(i)) != BULKHEAD_OK);
}

TEST_CASE("a status that no driver may return is an internal error, never a proof") {
  for (const bulkhead_status status : {-1, 5, 15, 20, 37, 63, 65, 1'000'000}) {
    INFO(status);
    CHECK(code_of(status) == Code::internal);
  }
}
