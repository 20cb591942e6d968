#include "store/ledger.hpp"
#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::store;

namespace {

Beginning beginning() {
  return {.run = RunId::parse("0123456789abcdef").value(),
          .vm = "dev1",
          .boot_id = "boot",
          .runtime_directory = "/run/bulkhead/0123",
          .containment = "cgroup",
          .driver_library = "/lib/driver.so",
          .manifest = {{"id", "org.example.x"}},
          .spec = {{"name", "dev1"}}};
}

os::Identity identity(std::int64_t pid) { return {.pid = pid, .start_time = 99, .boot_id = "boot"}; }

// A ledger that begins well and goes on with these records.
Result<LedgerView> view_with(const std::vector<Json>& more) {
  std::vector<Json> records{record::begin(beginning())};
  records.insert(records.end(), more.begin(), more.end());
  return view_of(records);
}

Json without(Json record, const char* key) {
  record.erase(key);
  return record;
}

Json with(Json record, const char* pointer, Json value) {
  record[Json::json_pointer(pointer)] = std::move(value);
  return record;
}

}  // namespace

TEST_CASE("a ledger that only begins has a beginning and nothing else") {
  const auto view = view_with({}).value();
  REQUIRE(view.beginning.has_value());
  CHECK(to_json(*view.beginning) == to_json(beginning()));
  CHECK(view.processes.empty());
  CHECK(view.artifacts.empty());
  CHECK_FALSE(view.start_reply.has_value());
  CHECK(view.driver_state == Json::object());
  CHECK_FALSE(view.ended);
}

TEST_CASE("a ledger without a beginning says nothing that may be acted upon") {
  for (const auto& records : {std::vector<Json>{}, std::vector<Json>{record::end()}}) {
    const auto view = view_of(records);
    REQUIRE_FALSE(view.has_value());
    CHECK(view.error().code == Code::unknown);
  }
}

TEST_CASE("processes are kept in the order of their start, with role, identity and program") {
  const auto view = view_with({record::process(Role::agent, identity(10), "bulkhead-agent"),
                               record::process(Role::leader, identity(11), "/usr/bin/vmm"),
                               record::process(Role::helper, identity(12), "helper")})
                        .value();
  REQUIRE(view.processes.size() == 3);
  CHECK(view.processes[1].role == Role::leader);
  CHECK(view.processes[1].identity == identity(11));
  CHECK(view.processes[1].program == "/usr/bin/vmm");
  CHECK_FALSE(view.processes[1].exit_code.has_value());
}

TEST_CASE("the last process of a role is the newest: a later agent replaces the first") {
  const auto view =
      view_with({record::process(Role::agent, identity(10), "a"), record::process(Role::leader, identity(11), "b"),
                 record::process(Role::agent, identity(20), "a")})
          .value();
  REQUIRE(view.last_of(Role::agent) != nullptr);
  CHECK(view.last_of(Role::agent)->identity.pid == 20);
  CHECK(view.last_of(Role::helper) == nullptr);
}

TEST_CASE("an exit belongs to the process of that identity, not to its pid") {
  os::Identity recycled = identity(11);
  recycled.start_time = 500;
  const auto view = view_with({record::process(Role::helper, identity(11), "old"),
                               record::process(Role::helper, recycled, "new"), record::exited(recycled, -1, 9)})
                        .value();
  CHECK_FALSE(view.processes[0].exit_code.has_value());
  CHECK(view.processes[1].exit_code == -1);
  CHECK(view.processes[1].exit_signal == 9);
}

TEST_CASE("the exit of a process that is not in the ledger changes nothing") {
  CHECK(view_with({record::exited(identity(7), 0, 0)}).value().processes.empty());
}

TEST_CASE("locks are kept in the order in which they were asked for") {
  const auto view =
      view_with({record::lock({.path = "/a.img", .shared = false}), record::lock({.path = "/b.img", .shared = true})})
          .value();
  REQUIRE(view.locks.size() == 2);
  CHECK(view.locks[0].path == "/a.img");
  CHECK_FALSE(view.locks[0].shared);
  CHECK(view.locks[1].shared);
}

TEST_CASE("a process keeps the number that tells it from others in its clock tick") {
  os::Identity first = identity(1234);
  first.serial = 77;
  os::Identity second = first;
  second.serial = 78;
  CHECK(first != second);
  const auto view = view_with({record::process(Role::leader, first, "/bin/p")}).value();
  REQUIRE(view.processes.size() == 1);
  CHECK(view.processes[0].identity.serial == 77);
  CHECK(view.processes[0].identity != second);
  second.serial = 0;  // not known: the rest decides
  CHECK(view.processes[0].identity == second);
}

TEST_CASE("the agents that a run has had are counted") {
  CHECK(view_with({record::process(Role::agent, identity(1), "a")}).value().agents() == 1);
  const auto view =
      view_with({record::process(Role::agent, identity(1), "a"), record::process(Role::leader, identity(2), "l"),
                 record::process(Role::agent, identity(3), "a")})
          .value();
  CHECK(view.agents() == 2);
}

TEST_CASE("artifacts are kept in the order of their creation") {
  const auto view = view_with({record::artifact({.kind = "log", .path = "/a", .persistent = true}),
                               record::artifact({.kind = "unix_socket", .path = "/b"})})
                        .value();
  REQUIRE(view.artifacts.size() == 2);
  CHECK(view.artifacts[0].kind == "log");
  CHECK(view.artifacts[0].persistent);
  CHECK(view.artifacts[1].path == "/b");
  CHECK_FALSE(view.artifacts[1].persistent);
}

TEST_CASE("what the driver said and saved is read, and the last state counts") {
  const auto view =
      view_with({record::started({{"console", "x"}}), record::state({{"n", 1}}), record::state({{"n", 2}})}).value();
  CHECK(view.start_reply == Json{{"console", "x"}});
  CHECK(view.driver_state == Json{{"n", 2}});
}

TEST_CASE("an end is seen") { CHECK(view_with({record::end()}).value().ended); }

TEST_CASE("an intent that was not carried out is no process") {
  CHECK(view_with({record::intent(Role::leader, "/usr/bin/vmm")}).value().processes.empty());
}

TEST_CASE("records of a type that a later version wrote are kept out") {
  const auto view = view_with({{{"type", "migrated"}, {"to", 5}}, {{"no", "type"}}, {{"type", 7}}, record::end()});
  REQUIRE(view.has_value());
  CHECK(view->ended);
}

TEST_CASE("every record that this program writes is understood by it after a round trip through text") {
  std::vector<Json> records;
  for (const Json& json :
       {record::begin(beginning()), record::intent(Role::agent, "a"), record::process(Role::agent, identity(1234), "a"),
        record::exited(identity(1234), 3, 0), record::artifact({.kind = "k", .path = "p"}), record::started({}),
        record::state(Json::object()), record::end()}) {
    records.push_back(Json::parse(dump(json)));
  }
  records[5]["reply"] = Json::object();
  CHECK(view_of(records).has_value());
}

TEST_CASE("a record that lacks what its type needs is refused, and nothing is guessed from it") {
  const Json process = record::process(Role::leader, identity(11), "x");
  const std::vector<Json> broken{without(process, "role"),
                                 without(process, "identity"),
                                 with(process, "/role", "boss"),
                                 with(process, "/identity", 11),
                                 with(process, "/identity/pid", "11"),
                                 with(process, "/identity/pid", 18446744073709551615ULL),
                                 with(process, "/identity/start_time", nullptr),
                                 with(process, "/identity/boot_id", 1),
                                 without(record::exited(identity(1), 0, 0), "identity"),
                                 without(record::artifact({.kind = "k", .path = "p"}), "kind"),
                                 without(record::artifact({.kind = "k", .path = "p"}), "path"),
                                 without(record::started(Json::object()), "reply"),
                                 without(record::state(Json::object()), "state"),
                                 record::state("text")};
  for (const Json& json : broken) {
    INFO(dump(json));
    const auto view = view_with({json});
    REQUIRE_FALSE(view.has_value());
    CHECK(view.error().code == Code::unknown);
    CHECK(view.error().what.starts_with("read ledger: record '" + json.at("type").get<std::string>() + "': "));
  }
}

TEST_CASE("a beginning that lacks anything is refused") {
  for (const char* key :
       {"run", "vm", "boot_id", "runtime_directory", "containment", "driver_library", "manifest", "spec"}) {
    INFO(key);
    const auto view = view_of({without(record::begin(beginning()), key)});
    REQUIRE_FALSE(view.has_value());
    CHECK(view.error().code == Code::unknown);
    CHECK(view.error().what.find(key) != std::string::npos);
  }
  CHECK_FALSE(view_of({with(record::begin(beginning()), "/run", "../../x")}).has_value());
}

TEST_CASE("a ledger of another version is incompatible, not damaged") {
  const auto view = view_of({with(record::begin(beginning()), "/version", 2)});
  REQUIRE_FALSE(view.has_value());
  CHECK(view.error().code == Code::incompatible);
}
