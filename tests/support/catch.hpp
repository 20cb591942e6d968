#pragma once

// Catch2 is version 2 on Debian 12 and version 3 elsewhere.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <sstream>
#include <string>

namespace bulkhead::support {
// Tells and counts it.
void skipped(const std::string& why);
}  // namespace bulkhead::support

// A case that cannot be run here says why ("SKIPPED: NAME: WHY"), and is left. A program that has run nothing else
// exits with 4, which CTest lists as skipped. For a case's first lines.
#define SKIP_BECAUSE(why)                                              \
  do {                                                                 \
    ::bulkhead::support::skipped((std::ostringstream() << why).str()); \
    return;                                                            \
  } while (false)
