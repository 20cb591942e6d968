#pragma once

// Catch2 is version 2 on Debian 12 and version 3 elsewhere.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace bulkhead::support {
// Tells and counts it.
void skipped(const char* reason);
}  // namespace bulkhead::support

// SKIP("reason"): ends the test case here. Version 2 has none, and that of version 3 is told otherwise: this one writes
// "SKIPPED: NAME: REASON", and a program of which a case was skipped and none failed exits with 4.
#undef SKIP
#define SKIP(reason)                      \
  do {                                    \
    ::bulkhead::support::skipped(reason); \
    return;                               \
  } while (false)
