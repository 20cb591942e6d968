#include "qemu/events.hpp"

#include "support/catch.hpp"

using namespace bulkhead::qemu;
using nlohmann::json;

namespace {

std::string name_of_event(const char* name, const json& data = json::object()) {
  const auto out = vm_event({name, data});
  return out ? out->name : "";
}

}  // namespace

TEST_CASE("a shutdown by the guest is told with its reason") {
  const auto out = vm_event({"SHUTDOWN", {{"guest", true}, {"reason", "guest-shutdown"}}});
  REQUIRE(out);
  CHECK(out->name == "guest-shutdown");
  CHECK(out->data == json{{"reason", "guest-shutdown"}});
}

TEST_CASE("a shutdown from outside is not the guest's doing") {
  CHECK(name_of_event("SHUTDOWN", {{"guest", false}, {"reason", "host-qmp-quit"}}).empty());
  CHECK(name_of_event("SHUTDOWN").empty());
  CHECK(name_of_event("SHUTDOWN", {{"guest", "yes"}}).empty());
}

TEST_CASE("a reset counts only when the guest did it") {
  CHECK(name_of_event("RESET", {{"guest", true}, {"reason", "guest-reset"}}) == "guest-reset");
  CHECK(name_of_event("RESET", {{"guest", false}}).empty());
}

TEST_CASE("panic, pause and resume have VM events") {
  CHECK(name_of_event("GUEST_PANICKED", {{"action", "pause"}}) == "guest-panicked");
  CHECK(name_of_event("STOP") == "paused");
  CHECK(name_of_event("RESUME") == "resumed");
}

TEST_CASE("a sent power button is not an event: it says nothing about the guest") {
  CHECK(name_of_event("POWERDOWN").empty());
}

TEST_CASE("unknown events are ignored") {
  CHECK(name_of_event("RTC_CHANGE").empty());
  CHECK(name_of_event("").empty());
}

TEST_CASE("a disk error names the disk and the cause") {
  const auto out = vm_event(
      {"BLOCK_IO_ERROR", {{"node-name", "disk0"}, {"operation", "write"}, {"reason", "No space left on device"}}});
  REQUIRE(out);
  CHECK(out->name == "warning");
  CHECK(out->data["message"] == "write disk 'disk0': No space left on device");
  CHECK(name_of_event("BLOCK_IO_ERROR", {{"reason", 1}}) == "warning");
}

TEST_CASE("only a stopped guest needs to be asked why") {
  CHECK(hides_run_state({"STOP", json::object()}));
  CHECK_FALSE(hides_run_state({"RESUME", json::object()}));
}

TEST_CASE("run states in which the guest is stuck are warned about") {
  for (const char* state : {"io-error", "internal-error", "watchdog"}) {
    const auto out = run_state_warning(state);
    REQUIRE(out);
    CHECK(out->name == "warning");
    CHECK(out->data["message"].get<std::string>().find("the guest is") == 0);
  }
  for (const char* state : {"running", "paused", "shutdown", ""}) CHECK_FALSE(run_state_warning(state));
}
