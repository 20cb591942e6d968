#include "cli/watch.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

Json vms(const std::string& state, Json more = Json::object()) {
  more["name"] = "a";
  more["state"] = state;
  return {{"vms", Json::array({more})}};
}

Json state_event(const std::string& vm, const std::string& to) {
  return {{"id", 1}, {"kind", "vm.state"}, {"vm", vm}, {"detail", {{"from", "x"}, {"to", to}, {"why", "because"}}}};
}

}  // namespace

TEST_CASE("a wait is over when every VM is where it is waited for") {
  Watch watch({"a", "b"}, "stopped");
  watch.see_list(Json::parse(R"({"vms": [{"name": "a", "state": "stopped"}, {"name": "b", "state": "running"}]})"));
  CHECK_FALSE(watch.over());
  watch.see_event(state_event("other", "stopped"));
  watch.see_event(state_event("b", "stopping"));
  CHECK_FALSE(watch.over());
  watch.see_event(state_event("b", "stopped"));
  CHECK(watch.over());
  CHECK_FALSE(watch.ends().at("a"));
  CHECK_FALSE(watch.ends().at("b"));
}

TEST_CASE("a wait for a stop fails for a VM that failed, is stuck or is lost, with the reason") {
  for (const char* state : {"failed", "stuck", "lost"}) {
    Watch watch({"a"}, "stopped");
    watch.see_list(vms(state, {{"why", "its disk is gone"}}));
    REQUIRE(watch.over());
    REQUIRE(watch.ends().at("a"));
    CHECK(watch.ends().at("a")->what ==
          std::string("wait until 'a' is stopped: it is ") + state + ": its disk is gone");
    CHECK(exit_code(watch.ends().at("a")->code) == 1);
  }
}

TEST_CASE("a wait for a run goes on over a failure after which the VM is started again") {
  Watch watch({"a"}, "running");
  watch.see_event(state_event("a", "failed"));
  watch.see_list(vms("failed", {{"restarts", {{"next_at", "2024-05-01T12:00:00.000Z"}}}}));
  CHECK_FALSE(watch.over());
  watch.see_event(state_event("a", "running"));
  CHECK(watch.over());

  Watch given_up({"a"}, "running");
  given_up.see_list(vms("failed", {{"restarts", {{"gave_up", true}}}}));
  REQUIRE(given_up.over());
  CHECK(given_up.ends().at("a"));
}

TEST_CASE("a VM that is removed is what some wait for, and an error for others") {
  const Json removed{{"kind", "vm.removed"}, {"vm", "a"}};
  Watch wanted({"a"}, "removed");
  wanted.see_list(vms("failed"));
  CHECK_FALSE(wanted.over());
  wanted.see_event(removed);
  CHECK(wanted.over());
  CHECK_FALSE(wanted.ends().at("a"));

  Watch other({"a"}, "stopped");
  other.see_event(removed);
  REQUIRE(other.ends().at("a"));
  CHECK(other.ends().at("a")->code == Code::not_found);

  Watch unknown({"b"}, "running");
  unknown.see_list(vms("running"));
  REQUIRE(unknown.over());
  CHECK(unknown.ends().at("b")->code == Code::not_found);
}
