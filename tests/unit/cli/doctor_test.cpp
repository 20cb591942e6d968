#include "cli/doctor.hpp"

#include <algorithm>

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

Symptoms good() {
  return {.host = Json::parse(R"({"version": "0.1.0", "pid": 7, "orphans": 0,
             "containment": {"mechanism": "cgroup", "obstacles": []}})"),
          .drivers = Json::parse(R"({"drivers": [{"id": "org.bulkhead.qemu", "version": "0.1.0"}], "broken": []})"),
          .vms = Json::parse(R"({"vms": [{"name": "a", "state": "running"}, {"name": "b", "state": "stopped"}]})")};
}

// The only finding that is broken.
Finding only_broken(const Symptoms& symptoms) {
  const auto findings = diagnose(symptoms);
  CHECK_FALSE(healthy(findings));
  const auto broken = [](const Finding& f) { return f.kind == Finding::Kind::broken; };
  REQUIRE(std::ranges::count_if(findings, broken) == 1);
  Finding found = *std::ranges::find_if(findings, broken);
  CHECK_FALSE(found.hint.empty());
  return found;
}

}  // namespace

TEST_CASE("where nothing is wrong the doctor finds nothing") {
  CHECK(healthy(diagnose(good())));
  Symptoms weaker = good();
  weaker.host["containment"] = {{"mechanism", "process-group"},
                                {"obstacles", {{{"mechanism", "cgroup"}, {"why", "not delegated"}}}}};
  CHECK(healthy(diagnose(weaker)));
  CHECK(render_findings(diagnose(weaker), Style::plain).find("not by cgroup: not delegated") != std::string::npos);
}

TEST_CASE(
    "the doctor finds leftovers, VMs that are stuck or lost, and broken drivers, and says what to do about each") {
  Symptoms orphans = good();
  orphans.host["orphans"] = 2;
  CHECK(only_broken(orphans).hint == "see: bulkhead repair --dry-run");

  Symptoms stuck = good();
  stuck.vms["vms"][0] = {{"name", "a"}, {"state", "stuck"}, {"why", "pid 7 lives"}};
  CHECK(only_broken(stuck).says == "stuck: pid 7 lives");
  CHECK(only_broken(stuck).hint == "try again: bulkhead stop --force a");

  Symptoms lost = good();
  lost.vms["vms"][0] = {{"name", "a"}, {"state", "lost"}, {"why", "its ledger is damaged"}};
  CHECK(only_broken(lost).subject == "VM 'a'");

  Symptoms driver = good();
  driver.drivers["broken"].push_back({{"folder", "/d"}, {"error", {{"code", "invalid"}, {"message", "no manifest"}}}});
  CHECK(only_broken(driver).says == "/d: no manifest");

  Symptoms none = good();
  none.drivers["drivers"] = Json::array();
  CHECK(only_broken(none).hint == "see where they are looked for: bulkhead driver list");
}

TEST_CASE("a wrong host.json is found with its places, and so is a daemon that does not answer") {
  Symptoms config = good();
  config.config = Error{.code = Code::invalid,
                        .what = "read 'host.json'",
                        .problems = {{"/log/levle", "unknown key", "did you mean 'level'?"}}};
  CHECK(only_broken(config).says == "read 'host.json'; /log/levle: unknown key");
  CHECK(only_broken(config).hint == "did you mean 'level'?");

  CHECK(
      only_broken({.daemon = Error{.code = Code::unavailable, .what = "start bulkheadd: it ended at once"}}).subject ==
      "daemon");
}

TEST_CASE("a VM that failed is told, and is no fault of the host") {
  Symptoms failed = good();
  failed.vms["vms"][0] = {{"name", "a"}, {"state", "failed"}, {"why", "its process ended"}};
  CHECK(healthy(diagnose(failed)));
  CHECK(render_findings(diagnose(failed), Style::plain).find("failed: its process ended") != std::string::npos);
}
