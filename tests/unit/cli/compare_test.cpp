#include "cli/compare.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

TEST_CASE("documents that are the same do not differ, whatever the order of their keys") {
  CHECK(differences(Json::parse(R"({"a": 1, "b": [1]})"), Json::parse(R"({"b": [1], "a": 1})")).empty());
}

TEST_CASE("each difference is told with its place, what is there and what is wanted") {
  const auto found = differences(Json::parse(R"({"cpus": 1, "boot": {"kernel": "k"}, "x~y/z": 1})"),
                                 Json::parse(R"({"cpus": 2, "boot": {}, "disks": ["d"], "x~y/z": 2})"));
  std::string text;
  for (const Problem& p : found) text += p.pointer + " " + p.reason + "\n";
  CHECK(text.find("/cpus is 1, wanted 2\n") != std::string::npos);
  CHECK(text.find("/boot/kernel is \"k\", wanted nothing\n") != std::string::npos);
  CHECK(text.find("/disks is not there, wanted [\"d\"]\n") != std::string::npos);
  CHECK(text.find("/x~0y~1z is 1, wanted 2\n") != std::string::npos);
  CHECK(found.size() == 4);
}
