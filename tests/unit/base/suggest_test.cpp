#include "base/suggest.hpp"

#include <vector>

#include "support/catch.hpp"

using bulkhead::suggest;

namespace {
const std::vector<std::string> keys{"name", "driver", "cpus", "memory", "boot", "disks", "console", "grace_period"};
}

TEST_CASE("a misspelt word is taken for the nearest one") {
  CHECK(suggest("memroy", keys) == "memory");
  CHECK(suggest("cpu", keys) == "cpus");
  CHECK(suggest("drivre", keys) == "driver");
  CHECK(suggest("disk", keys) == "disks");
  CHECK(suggest("konsole", keys) == "console");
}

TEST_CASE("case and the kind of dash do not count") {
  CHECK(suggest("grace-period", keys) == "grace_period");
  CHECK(suggest("Memory", keys) == "memory");
}

TEST_CASE("two letters that changed places are one mistake") {
  CHECK(suggest("nmae", keys) == "name");
  CHECK(suggest("ab", std::vector<std::string>{"ba"}) == "ba");
}

TEST_CASE("a word that is like none of them gets no suggestion") {
  CHECK_FALSE(suggest("network", keys).has_value());
  CHECK_FALSE(suggest("x", keys).has_value());
  CHECK_FALSE(suggest("", keys).has_value());
  CHECK_FALSE(suggest("memory", {}).has_value());
}

TEST_CASE("a hostile word costs nothing and is never like anything") {
  CHECK_FALSE(suggest(std::string(1'000'000, 'm'), keys).has_value());
}
