#pragma once

// Catch2 is version 2 on Debian 12 and version 3 elsewhere.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

// A case that cannot be run here says why, and is left; CTest lists it as skipped. For its first lines.
#define SKIP_BECAUSE(why)     \
  do {                        \
    WARN("skipped: " << why); \
    return;                   \
  } while (false)
