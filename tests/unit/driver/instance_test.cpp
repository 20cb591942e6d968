#include "driver/instance.hpp"

#include <functional>
#include <optional>
#include <stdexcept>

#include "bulkhead/driver.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using bulkhead::driver::Instance;
using bulkhead::driver::Operation;
using bulkhead::driver::OperationControl;

namespace {

// The host's side of the table, which keeps what it is given and answers as told.
class FakeServices : public driver::Services {
 public:
  void log(LogLevel level, const std::string& message) override { logged.emplace_back(level, message); }
  void emit(const std::string& event, const Json& detail) override { emitted.emplace_back(event, detail); }
  void progress(unsigned permille, const std::string& phase) override { progressed.emplace_back(permille, phase); }
  Result<std::uint64_t> spawn(const Json& spec) override {
    spawned.push_back(spec);
    if (failure) return std::unexpected(*failure);
    return 7;
  }
  Result<Exit> child_wait(std::uint64_t, milliseconds) override {
    if (failure) return std::unexpected(*failure);
    return Exit{.code = -1, .signal = 9};
  }
  Result<void> child_signal(std::uint64_t, int) override {
    if (failure) return std::unexpected(*failure);
    return {};
  }
  Result<std::string> artifact(const std::string& kind, const std::string& name, driver::Kept) override {
    if (failure) return std::unexpected(*failure);
    return path.value_or("/run/" + kind + "/" + name);
  }
  Result<os::RawHandle> lock(const std::string&, Sharing) override {
    if (failure) return std::unexpected(*failure);
    return 5;
  }
  Result<void> save_state(const Json& state) override {
    if (failure) return std::unexpected(*failure);
    saved = state;
    return {};
  }

  std::vector<std::pair<LogLevel, std::string>> logged;
  std::vector<std::pair<std::string, Json>> emitted;
  std::vector<std::pair<unsigned, std::string>> progressed;
  std::vector<Json> spawned;
  std::optional<Json> saved;
  std::optional<std::string> path;
  std::optional<Error> failure;
};

// What the driver does in its operations; set by each test, called in place of the operation's own code.
struct Script {
  std::function<void(const Host&, const Op&)> perform = [](const Host&, const Op&) {};
  std::function<void(const Host&, const Op&)> open = [](const Host&, const Op&) {};
  int opened = 0;
  int closed = 0;
  std::vector<std::string> called;
};
Script* script = nullptr;

class Scripted : public Driver {
 public:
  Scripted(Host host, const Op& op) : Driver(host) {
    script->open(host, op);
    ++script->opened;
  }
  ~Scripted() override { ++script->closed; }
  static void probe(Host host, const Op& op) { act(host, op, "probe"); }
  void validate(const Op& op) override { act(host(), op, "validate"); }
  void create(const Op& op) override { act(host(), op, "create"); }
  void start(const Op& op) override { act(host(), op, "start"); }
  void stop(const Op& op) override { act(host(), op, "stop"); }
  void force_stop(const Op& op) override { act(host(), op, "force_stop"); }
  void inspect(const Op& op) override { act(host(), op, "inspect"); }
  void recover(const Op& op) override { act(host(), op, "recover"); }
  void cleanup(const Op& op) override { act(host(), op, "cleanup"); }
  void remove(const Op& op) override { act(host(), op, "remove"); }

 private:
  static void act(const Host& host, const Op& op, const char* name) {
    script->called.emplace_back(name);
    script->perform(host, op);
  }
};

using Glue = bulkhead::detail::Glue<Scripted>;
constexpr bulkhead_entry entry{sizeof(bulkhead_entry), 0, nullptr, &Glue::probe, &Glue::open};

// Times that are right whatever the clock says.
constexpr Deadline never = Deadline::max();
constexpr Deadline long_ago{};

class Fixture {
 public:
  Fixture() { script = &script_; }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() {
    instance.reset();
    script = nullptr;
  }
  Result<Json> call(Operation operation, const Json& arguments = Json::object()) {
    return instance->call(operation, arguments, control);
  }
  void open() { REQUIRE(call(Operation::open).has_value()); }
  // The outcome of an operation of an open driver that does this.
  Result<Json> outcome(std::function<void(const Host&, const Op&)> perform) {
    if (script_.opened == 0) open();
    script_.perform = std::move(perform);
    return call(Operation::start);
  }

  FakeServices services;
  std::shared_ptr<OperationControl> control = std::make_shared<OperationControl>(never);
  std::optional<Instance> instance{
      std::in_place, entry, driver::Identification{.vm_id = "dev1", .run_id = "run7", .vm_directory = "/vms/dev1"},
      services, LogLevel::info};
  Script script_;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a reply is handed back, and the last one counts") {
  const auto replied = outcome([](const Host&, const Op& op) {
    op.reply(R"({"console": "first"})");
    op.reply(R"({"console": "second"})");
  });
  CHECK(replied.value() == Json{{"console", "second"}});
}

TEST_CASE_METHOD(Fixture, "an operation that says nothing has an empty reply") {
  CHECK(outcome([](const Host&, const Op&) {}).value() == Json::object());
}

TEST_CASE_METHOD(Fixture, "a reply does not stay for the next operation, and neither does an error") {
  REQUIRE(outcome([](const Host&, const Op& op) { op.reply(R"({"a": 1})"); }).has_value());
  CHECK(outcome([](const Host&, const Op&) {}).value() == Json::object());
  REQUIRE_FALSE(outcome([](const Host&, const Op&) { throw Status(BULKHEAD_BUSY, "it runs"); }).has_value());
  CHECK(outcome([](const Host&, const Op&) { throw Status(BULKHEAD_GONE, ""); }).error().what ==
        "the driver gave no reason");
}

TEST_CASE_METHOD(Fixture, "arguments arrive as they were given") {
  open();
  std::string seen;
  script_.perform = [&](const Host&, const Op& op) { seen = op.args(); };
  const Json arguments{{"state", {{"pid", 7}}}, {"leader", 0}};
  REQUIRE(call(Operation::recover, arguments).has_value());
  CHECK(Json::parse(seen) == arguments);
}

TEST_CASE_METHOD(Fixture, "each operation reaches its own function of the driver") {
  open();
  std::vector<std::string> expected;
  for (const Operation operation :
       {Operation::probe, Operation::validate, Operation::create, Operation::start, Operation::stop,
        Operation::force_stop, Operation::inspect, Operation::recover, Operation::cleanup, Operation::remove}) {
    REQUIRE(call(operation).has_value());
    expected.emplace_back(driver::name(operation));
  }
  CHECK(script_.called == expected);
}

TEST_CASE_METHOD(Fixture, "a failure carries the driver's message, hint and the place in the configuration") {
  const auto failed = outcome([](const Host&, const Op&) {
    throw Status(BULKHEAD_CONFIG, "disk 'a.img': not there",
                 R"({"pointer": "/disks/0/path", "hint": "create it first", "errno": 2})");
  });
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::invalid);
  CHECK(failed.error().what == "disk 'a.img': not there");
  CHECK(failed.error().hint == "create it first");
  REQUIRE(failed.error().problems.size() == 1);
  CHECK(failed.error().problems[0].pointer == "/disks/0/path");
  CHECK(failed.error().problems[0].reason == "disk 'a.img': not there");
}

TEST_CASE_METHOD(Fixture, "a failure without detail has no problems, and detail that is no JSON does no harm") {
  for (const char* detail : {"", "not json", "[1]", "{\"pointer\"", "null"}) {
    const auto failed = outcome([&](const Host&, const Op&) { throw Status(BULKHEAD_GONE, "it is gone", detail); });
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Code::gone);
    CHECK(failed.error().problems.empty());
    CHECK(failed.error().hint.empty());
  }
}

TEST_CASE_METHOD(Fixture, "an exception in a driver is an internal error with its words") {
  const auto failed = outcome([](const Host&, const Op&) { throw std::runtime_error("index out of range"); });
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::internal);
  CHECK(failed.error().what == "index out of range");
}

TEST_CASE_METHOD(Fixture, "something thrown that is no exception is an internal error too") {
  const auto failed = outcome([](const Host&, const Op&) { throw 42; });
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::internal);
  CHECK_FALSE(failed.error().what.empty());
}

TEST_CASE_METHOD(Fixture, "an exception while a driver is opened leaves nothing open") {
  script_.open = [](const Host&, const Op&) { throw std::runtime_error("no memory"); };
  const auto failed = call(Operation::open);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().what == "no memory");
  CHECK(call(Operation::start).error().code == Code::invalid);
  instance.reset();
  CHECK(script_.closed == 0);
}

TEST_CASE_METHOD(Fixture, "calls before open are refused and do not reach the driver") {
  for (const Operation operation :
       {Operation::validate, Operation::create, Operation::start, Operation::stop, Operation::force_stop,
        Operation::inspect, Operation::recover, Operation::cleanup, Operation::remove}) {
    INFO(driver::name(operation));
    const auto refused = call(operation);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Code::invalid);
  }
  CHECK(script_.called.empty());
  CHECK(call(Operation::probe).has_value());
}

TEST_CASE_METHOD(Fixture, "a driver is opened once and closed once") {
  open();
  open();
  CHECK(script_.opened == 1);
  instance.reset();
  CHECK(script_.closed == 1);
}

TEST_CASE_METHOD(Fixture, "the reason of a host service that failed is kept when the driver adds nothing") {
  services.failure =
      Error{.code = Code::denied, .what = "start '/usr/bin/vmm': permission denied", .hint = "make it executable"};
  const std::vector<std::function<void(const Host&, const Op&)>> uses{
      [](const Host& host, const Op& op) { host.spawn(op, R"({"role": "leader"})"); },
      [](const Host& host, const Op& op) { host.artifact(op, "log", "console"); },
      [](const Host& host, const Op& op) { host.lock(op, "/disk"); },
      [](const Host& host, const Op& op) { host.save_state(op, "{}"); }};
  for (const auto& use : uses) {
    const auto failed = outcome(use);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Code::denied);
    CHECK(failed.error().what == "start '/usr/bin/vmm': permission denied");
    CHECK(failed.error().hint == "make it executable");
  }
}

TEST_CASE_METHOD(Fixture, "a driver's own words replace those of the host service") {
  services.failure = Error{.code = Code::denied, .what = "host's words"};
  const auto failed = outcome([](const Host& host, const Op& op) {
    try {
      host.spawn(op, "{}");
    } catch (const Status&) {
      throw Status(BULKHEAD_UNAVAILABLE, "driver's words");
    }
  });
  CHECK(failed.error().code == Code::unavailable);
  CHECK(failed.error().what == "driver's words");
}

TEST_CASE_METHOD(Fixture, "a driver that goes on after a host service failed succeeds") {
  services.failure = Error{.code = Code::unavailable, .what = "no"};
  CHECK(outcome([](const Host& host, const Op& op) {
          try {
            host.spawn(op, "{}");
          } catch (const Status& s) {
            if (s.code() != BULKHEAD_UNAVAILABLE) throw;
          }
        }).has_value());
}

TEST_CASE_METHOD(Fixture, "what a host service returns reaches the driver") {
  const auto done = outcome([&](const Host& host, const Op& op) {
    const Child child = host.spawn(op, R"({"role": "leader", "argv": ["vmm"]})");
    CHECK(child.id() == 7);
    const auto exit = child.wait(milliseconds{1});
    REQUIRE(exit.has_value());
    CHECK(exit->code == -1);
    CHECK(exit->signal == 9);
    CHECK(host.artifact(op, "unix_socket", "qmp") == "/run/unix_socket/qmp");
    CHECK(host.lock(op, "/disk") == 5);
    host.save_state(op, R"({"n": 1})");
    host.emit("ready", R"({"x": 1})");
    op.progress(500, "booting");
    CHECK(host.vm_id() == "dev1");
    CHECK(host.run_id() == "run7");
    CHECK(host.vm_dir() == "/vms/dev1");
  });
  REQUIRE(done.has_value());
  CHECK(services.spawned == std::vector<Json>{{{"role", "leader"}, {"argv", {"vmm"}}}});
  CHECK(services.saved == Json{{"n", 1}});
  CHECK(services.emitted == std::vector<std::pair<std::string, Json>>{{"ready", {{"x", 1}}}});
  CHECK(services.progressed == std::vector<std::pair<unsigned, std::string>>{{500, "booting"}});
}

TEST_CASE_METHOD(Fixture, "a child that still runs is told from one that nobody knows") {
  services.failure = Error{.code = Code::timed_out};
  CHECK(outcome([](const Host& host, const Op&) {
          CHECK_FALSE(host.child(7).wait(milliseconds{0}).has_value());
        }).has_value());
  services.failure = Error{.code = Code::not_found};
  CHECK_FALSE(outcome([](const Host& host, const Op&) { host.child(7).wait(milliseconds{0}); }).has_value());
  services.failure = Error{.code = Code::gone};
  CHECK(outcome([](const Host& host, const Op&) { host.child(7).signal(15); }).has_value());
}

TEST_CASE_METHOD(Fixture, "a path that does not fit the driver's buffer is an error, not a part of it") {
  services.path = std::string(5000, 'x');
  const auto failed = outcome([](const Host& host, const Op& op) { host.artifact(op, "log", "x"); });
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::invalid);
  services.path = std::string(4095, 'x');
  CHECK(
      outcome([](const Host& host, const Op& op) { CHECK(host.artifact(op, "log", "x").size() == 4095); }).has_value());
}

TEST_CASE_METHOD(Fixture,
                 "an operation has no time left once it is cancelled, and outside of operations there is none") {
  const Host* kept_host = nullptr;
  std::optional<Host> copy;
  milliseconds before{-1}, after{-1};
  REQUIRE(outcome([&](const Host& host, const Op& op) {
            copy.emplace(host);
            kept_host = &*copy;
            before = op.remaining();
            control->cancel();
            after = op.remaining();
          }).has_value());
  CHECK(before > std::chrono::hours{24});
  CHECK(after == milliseconds{0});
  const bulkhead_op stale{sizeof(bulkhead_op), 0, 1, "{}"};
  CHECK(kept_host->raw()->op_remaining_ms(kept_host->raw(), &stale) == 0);
}

TEST_CASE_METHOD(Fixture, "an operation whose deadline has passed has no time left") {
  control = std::make_shared<OperationControl>(long_ago);
  milliseconds left{-1};
  REQUIRE(outcome([&](const Host&, const Op& op) { left = op.remaining(); }).has_value());
  CHECK(left == milliseconds{0});
}

TEST_CASE_METHOD(Fixture, "a reply that is not a JSON object is taken for none") {
  for (const char* text : {"", "not json", "{\"a\":", "[1, 2]", "7", "null", "\xff\xfe", "{\"a\": \"\xff\"}"}) {
    INFO(text);
    const auto replied = outcome([&](const Host&, const Op& op) { op.reply(text); });
    CHECK(replied.value() == Json::object());
  }
}

TEST_CASE_METHOD(Fixture, "a late reply or failure of an earlier operation changes nothing") {
  open();
  std::optional<bulkhead_op> first;
  REQUIRE(outcome([&](const Host&, const Op& op) { first = *op.raw(); }).has_value());
  const auto replied = outcome([&](const Host& host, const Op& op) {
    op.reply(R"({"mine": 1})");
    host.raw()->op_reply(host.raw(), &*first, R"({"late": 1})");
    host.raw()->op_reply(host.raw(), nullptr, R"({"none": 1})");
  });
  CHECK(replied.value() == Json{{"mine", 1}});
  const auto failed = outcome([&](const Host& host, const Op& op) {
    op.fail(BULKHEAD_BUSY, "mine");
    host.raw()->op_fail(host.raw(), &*first, BULKHEAD_GONE, "late", nullptr);
    throw Status(BULKHEAD_BUSY, "");
  });
  CHECK(failed.error().what == "mine");
}

TEST_CASE_METHOD(Fixture, "messages below the log level are dropped, and fields follow the message") {
  REQUIRE(outcome([](const Host& host, const Op&) {
            host.log(BULKHEAD_LOG_DEBUG, "quiet");
            host.log(BULKHEAD_LOG_INFO, "heard", R"({"pid": 7})");
            host.log(BULKHEAD_LOG_ERROR, "loud");
            host.log(99, "very loud");
          }).has_value());
  CHECK(services.logged == std::vector<std::pair<LogLevel, std::string>>{{LogLevel::info, R"(heard {"pid": 7})"},
                                                                         {LogLevel::error, "loud"},
                                                                         {LogLevel::error, "very loud"}});
}

TEST_CASE_METHOD(Fixture, "null texts from a driver in C do no harm") {
  const auto failed = outcome([](const Host& host, const Op& op) {
    const bulkhead_host* raw = host.raw();
    raw->log(raw, BULKHEAD_LOG_INFO, nullptr, nullptr);
    raw->emit(raw, nullptr, nullptr);
    raw->op_progress(raw, op.raw(), 0, nullptr);
    raw->op_reply(raw, op.raw(), nullptr);
    CHECK(raw->get_extension(raw, nullptr) == nullptr);
    raw->op_fail(raw, op.raw(), BULKHEAD_UNKNOWN, nullptr, nullptr);
    throw Status(BULKHEAD_UNKNOWN, "");
  });
  CHECK(failed.error().code == Code::unknown);
  CHECK_FALSE(failed.error().what.empty());
}
