#include "cli/progress.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

Json operation(const std::string& vm, const std::string& state = "running") {
  return {{"id", "op-" + vm},   {"kind", "stop"},
          {"vm", vm},           {"state", state},
          {"elapsed_ms", 3100}, {"progress", {{"phase", "ask"}, {"elapsed_ms", 3099}, {"at_most_ms", 20000}}}};
}

}  // namespace

TEST_CASE("a progress line says what is done to whom, in which phase, how long, and how long at most") {
  CHECK(render_progress({operation("dev")}) == "stopping 'dev': ask 3 s of 20 s");
  Json start = operation("dev");
  start["kind"] = "start";
  start["progress"] = {{"phase", "driver"}, {"elapsed_ms", 500}};
  CHECK(render_progress({start}) == "starting 'dev': driver 0 s");
}

TEST_CASE("for several VMs a progress line counts, and tells of one that is not done") {
  CHECK(render_progress({operation("a", "done"), operation("b"), operation("c")}) ==
        "stopping 3 VMs: 1 done; 'b': ask 3 s of 20 s");
  CHECK(render_progress({operation("a", "done"), operation("b", "failed")}) == "stopping 2 VMs: 2 done");
}

TEST_CASE("between the phases of a restart the whole time is told") {
  Json restart = operation("dev");
  restart["kind"] = "restart";
  restart["progress"] = {{"phase", "none"}, {"elapsed_ms", 0}};
  CHECK(render_progress({restart}) == "restarting 'dev': 3 s");
  restart.erase("progress");
  CHECK(render_progress({restart}) == "restarting 'dev': 3 s");
}

TEST_CASE("a new phase is told with its limit") {
  CHECK(render_phase(operation("dev")) == "stopping 'dev': ask, up to 20 s");
}

TEST_CASE("what a VM is called, or a phase, cannot control the terminal") {
  Json evil = operation("a\x1b[2Jb\r");
  evil["progress"]["phase"] = "x\x1b]0;t\x07";
  for (const std::string& text : {render_progress({evil}), render_phase(evil), render_progress({evil, evil})}) {
    CHECK(text.find_first_of("\x1b\x07\r\n") == std::string::npos);
  }
}
