#include <fstream>
#include <sys/stat.h>
#include <thread>

#include "e2e/api_client.hpp"
#include "e2e/neighbour.hpp"

using namespace bulkhead;
using namespace bulkhead::e2e;

namespace {

Json process(const std::string& name) { return HostUnderTest::process(name, {"say", "ready"}); }

// A daemon, and a program that talks to it.
struct Served {
  Served() { host.ok({"host", "start"}); }
  HostUnderTest host;
};

ApiClient::Asked post(const std::string& path, Json body = Json::object(), ApiClient::Pairs query = {}) {
  return {.method = "POST", .path = path, .query = std::move(query), .body = std::move(body)};
}

ApiClient::Asked get(const std::string& path, ApiClient::Pairs query = {}) {
  return {.method = "GET", .path = path, .query = std::move(query)};
}

const ApiClient::Pairs in_time{{"wait", "60s"}};

}  // namespace

TEST_CASE("a VM is created, started, stopped and removed over the API, and every answer fits openapi.json") {
  const Served served;
  const ApiClient api(served.host);
  api.expect(200, get("/v1/host"));
  api.expect(200, get("/v1/drivers"));
  CHECK(api.create(process("p")).at("state") == "stopped");
  CHECK(api.expect(200, get("/v1/vms")).at("vms").size() == 1);
  const Json started = api.expect(200, post("/v1/vms/p/start", Json::object(), in_time));
  CHECK(started.at("state") == "done");
  CHECK(started.at("result").at("state") == "running");
  const Json vm = api.expect(200, get("/v1/vms/p"));
  CHECK(vm.at("run").at("agent").at("alive") == true);
  CHECK(vm.at("desired") == "running");
  CHECK(api.expect(200, get("/v1/vms/p/stop-plan")).at("processes").size() == 1);
  const Json restarted = api.expect(200, post("/v1/vms/p/restart", {{"force", true}}, in_time));
  CHECK(restarted.at("result").at("run").at("id") != vm.at("run").at("id"));
  const Json stopped = api.expect(200, post("/v1/vms/p/stop", {{"grace_ms", 100}}, in_time));
  CHECK(stopped.at("result").at("outcome") == "stopped");
  CHECK(api.expect(200, get("/v1/operations", {{"vm", "p"}})).at("operations").size() == 3);
  const ApiClient::Asked remove{.method = "DELETE", .path = "/v1/vms/p", .query = in_time};
  CHECK(api.expect(200, remove).at("result").at("removed") == "p");
  CHECK(api.expect(404, get("/v1/vms/p")).at("code") == "not_found");
}

TEST_CASE("an operation goes on by itself, tells its phase and its limit, and can be waited for") {
  const Served served;
  const ApiClient api(served.host);
  served.host.run_vm(HostUnderTest::firmware("fw", "ignore"));
  const api::Response begun = api.ask(post("/v1/vms/fw/stop", {{"grace_ms", 2000}}));
  CHECK(begun.status == 202);
  const std::string where = "/v1/operations/" + begun.body.at("id").get<std::string>();
  std::string phase;
  CHECK(eventually([&] {
    const Json now = api.expect(200, get(where));
    if (now.contains("progress")) {
      phase = now.at("progress").at("phase");
      CHECK(now.at("progress").contains("at_most_ms"));
    }
    return phase == "ask";
  }));
  const Json ended = api.expect(200, get(where, in_time));
  CHECK(ended.at("state") == "done");
  CHECK(ended.at("result").at("rung") == "force");
  CHECK(ended.contains("ended_at"));
}

TEST_CASE("an operation that failed answers its client with a problem, and stays to be looked at") {
  const Served served;
  const ApiClient api(served.host);
  Json spec = HostUnderTest::firmware("fw");
  spec["boot"]["firmware"] = "/no/such/firmware";
  api.create(spec);
  const Json problem = api.expect(422, post("/v1/vms/fw/start", Json::object(), in_time));
  CHECK(problem.at("status") == 422);
  const Json ended = api.expect(200, get("/v1/operations/" + problem.at("operation").get<std::string>()));
  CHECK(ended.at("state") == "failed");
  CHECK(ended.at("error").at("detail") == problem.at("detail"));
}

TEST_CASE("what is wrong with a request is told in one go with its places, and nothing is done") {
  const Served served;
  const ApiClient api(served.host);
  Json spec = process("p");
  spec["cpus"] = 0;
  spec["memroy"] = "1GiB";
  const Json wrong = api.expect(422, post("/v1/vms", {{"spec", spec}, {"folder", "/"}}));
  CHECK(wrong.at("problems").size() == 2);
  CHECK(api.expect(422, post("/v1/vms", {{"spec", process("p")}, {"folder", "here"}})).at("code") == "invalid");
  const Json unknown = api.expect(422, post("/v1/vms", {{"spec", process("p")}, {"folder", "/"}, {"forse", true}}));
  CHECK(unknown.at("problems").at(0).at("pointer") == "/forse");
  api.create(process("p"));
  CHECK(api.expect(422, post("/v1/vms/p/stop", {{"force", "yes"}})).at("problems").at(0).at("pointer") == "/force");
  CHECK(api.expect(422, post("/v1/vms/p/start", {{"timeout_ms", 1e300}})).at("code") == "invalid");
  CHECK(api.expect(422, post("/v1/vms/p/start", Json::object(), {{"wait", "soon"}})).at("code") == "invalid");
  CHECK(api.expect(409, post("/v1/vms", {{"spec", process("p")}, {"folder", "/"}})).at("code") == "exists");
  const api::Response other = api.ask({.method = "PUT", .path = "/v1/vms"});
  CHECK(other.status == 405);
  CHECK(served.host.state("p") == "stopped");
}

TEST_CASE("a spec can be checked without creating anything") {
  const Served served;
  const ApiClient api(served.host);
  const Json body{{"spec", process("p")}, {"folder", "/"}};
  CHECK(api.expect(200, post("/v1/specs/check", body)).at("spec").at("name") == "p");
  CHECK(api.expect(422, post("/v1/specs/check", {{"spec", Json::object()}, {"folder", "/"}})).at("problems").size() ==
        2);
  CHECK(api.expect(200, get("/v1/vms")).at("vms").empty());
}

TEST_CASE("the same request with the same idempotency key is done once, another with it is refused") {
  const Served served;
  const ApiClient api(served.host);
  const Json body{{"spec", process("p")}, {"folder", "/"}};
  ApiClient::Asked create = post("/v1/vms", body);
  create.headers = {{"idempotency-key", "create-p"}};
  const Json created = api.expect(201, create);
  CHECK(api.expect(201, create) == created);
  ApiClient::Asked start = post("/v1/vms/p/start", Json::object(), in_time);
  start.headers = {{"idempotency-key", "start-p"}};
  const Json started = api.expect(200, start);
  const Json again = api.expect(200, start);
  CHECK(again.at("id") == started.at("id"));
  CHECK(again.at("state") == "done");
  start.path = "/v1/vms/p/stop";
  CHECK(api.expect(422, start).at("code") == "invalid");
  // Without a key it is done again.
  CHECK(api.expect(409, post("/v1/vms/p/start", Json::object(), in_time)).at("code") == "busy");
}

TEST_CASE("S09: events tell what happened in order, and a stream goes on where it was left") {
  const Served served;
  const ApiClient api(served.host);
  api.create(process("p"));
  api.expect(200, post("/v1/vms/p/start", Json::object(), in_time));
  std::vector<std::string> states;
  std::uint64_t last = 0;
  const auto note = [&](const Json& event) {
    if (event.at("kind") == "vm.state") states.push_back(event.at("detail").at("to"));
    last = event.at("id");
    return states.empty() || states.back() != "running";
  };
  api.follow(get("/v1/events", {{"after", "0"}, {"vm", "p"}}), note);
  CHECK(states == std::vector<std::string>{"starting", "running"});
  // While nobody listens.
  api.expect(200, post("/v1/vms/p/stop", {{"force", true}}, in_time));
  states.clear();
  ApiClient::Asked resumed = get("/v1/events");
  resumed.headers = {{"last-event-id", std::to_string(last)}};
  api.follow(resumed, [&](const Json& event) {
    CHECK(event.at("id") > last);
    note(event);
    return states.empty() || states.back() != "stopped";
  });
  CHECK(states == std::vector<std::string>{"stopping", "stopped"});
  const Json list = api.expect(200, get("/v1/events", {{"vm", "p"}, {"limit", "2"}}));
  CHECK(list.at("events").size() == 2);
  CHECK(list.at("last") == list.at("events").back().at("id"));
}

TEST_CASE("S09: a stream hears of what happens while it is open, also of another client's deeds") {
  const Served served;
  const ApiClient api(served.host);
  const std::string spec = served.host.write_spec(process("later")).string();
  std::unique_ptr<Program> other;
  std::vector<std::string> kinds;
  api.follow(get("/v1/events", {{"after", "0"}}), [&](const Json& event) {
    kinds.push_back(event.at("kind"));
    if (kinds.back() == "host.started") other = served.host.begin({"create", spec});
    return kinds.back() != "vm.created";
  });
  CHECK(kinds.back() == "vm.created");
  CHECK(other->wait().code == 0);
}

TEST_CASE("S09: events outlive the daemon, and their ids go on growing") {
  const Served served;
  served.host.create(process("p"));
  const Json before = ApiClient(served.host).expect(200, get("/v1/events"));
  kill_hard(served.host.daemon());
  // A line that a crash tore is passed over.
  std::ofstream(served.host.home() / "events.jsonl", std::ios::app) << "{\"id\": 9999999999999";
  served.host.ok({"host", "start"});
  const ApiClient api(served.host);
  const Json after = api.expect(200, get("/v1/events"));
  CHECK(after.at("events").at(0) == before.at("events").at(0));
  CHECK(after.at("last") > before.at("last"));
  std::uint64_t id = 0;
  for (const Json& event : after.at("events")) {
    CHECK(event.at("id") > id);
    id = event.at("id");
  }
}

TEST_CASE("X04: streams that nobody reads, and too many of them, do not hold others up") {
  const Served served;
  const ApiClient api(served.host);
  std::vector<std::thread> readers;
  std::atomic<int> turned_away{0};
  std::atomic<int> opened{0};
  for (int i = 0; i < 80; ++i) {
    readers.emplace_back([&] {
      api::Request request{.method = "GET", .path = "/v1/events", .query = {{"after", "0"}}};
      request.headers["accept"] = "text/event-stream";
      const auto until_end = [&](const Json& event) {
        if (event.at("kind") == "host.started") ++opened;
        return event.at("kind") != "vm.created";
      };
      const auto ended =
          api::stream_and_wait(api.socket(), request, until_end, Clock::now() + std::chrono::seconds{60});
      if (!ended && ended.error().code == Code::unavailable) ++turned_away;
    });
  }
  CHECK(eventually([&] { return opened + turned_away == 80; }));
  served.host.create(process("p"));
  for (std::thread& reader : readers) reader.join();
  CHECK(opened >= 64);
  CHECK(turned_away == 80 - opened);
  api.expect(200, get("/v1/vms"));
}

TEST_CASE("S11: a spec that is changed while the VM runs is pending until it is started again") {
  const Served served;
  const ApiClient api(served.host);
  Json spec = HostUnderTest::firmware("fw");
  served.host.run_vm(spec);
  const Json before = api.expect(200, get("/v1/vms/fw"));
  spec["memory"] = "64MiB";
  spec["stop"] = {{"grace_period", "100ms"}};
  spec["restart"] = {{"policy", "always"}};
  const Json body{{"spec", spec}, {"folder", "/"}};
  const Json changed = api.expect(200, {.method = "PUT", .path = "/v1/vms/fw", .body = body});
  CHECK(changed.at("pending") == Json::array({"/memory"}));
  CHECK(changed.at("memory_bytes") == before.at("memory_bytes"));
  CHECK(changed.at("restarts").at("policy") == "always");
  CHECK(changed.at("run").at("id") == before.at("run").at("id"));
  // The host's own part is in force at once.
  CHECK(api.expect(200, get("/v1/vms/fw/stop-plan")).at("rungs").at(0).at("at_most_ms") == 100);
  // Another daemon knows it too.
  kill_hard(served.host.daemon());
  served.host.ok({"host", "start"});
  CHECK(served.host.info("fw").at("pending") == Json::array({"/memory"}));
  const Json restarted = ApiClient(served.host).expect(200, post("/v1/vms/fw/restart", {{"force", true}}, in_time));
  CHECK(restarted.at("result").at("pending").empty());
  CHECK(restarted.at("result").at("memory_bytes") == 64 << 20);
}

TEST_CASE("S11: a spec that is changed while the VM is stopped is in force at the next start; its name stays") {
  const Served served;
  const ApiClient api(served.host);
  Json spec = process("p");
  api.create(spec);
  spec["cpus"] = 2;
  const Json changed =
      api.expect(200, {.method = "PUT", .path = "/v1/vms/p", .body = {{"spec", spec}, {"folder", "/"}}});
  CHECK(changed.at("pending").empty());
  CHECK(changed.at("cpus") == 2);
  spec["name"] = "q";
  CHECK(api.expect(422, {.method = "PUT", .path = "/v1/vms/p", .body = {{"spec", spec}, {"folder", "/"}}}).at("code") ==
        "invalid");
}

TEST_CASE("the logs of a VM that is removed are kept when asked") {
  const Served served;
  const ApiClient api(served.host);
  served.host.run_vm(process("p"));
  const ApiClient::Asked remove{
      .method = "DELETE", .path = "/v1/vms/p", .query = {{"force", "true"}, {"keep_logs", "true"}, {"wait", "60s"}}};
  const Json removed = api.expect(200, remove);
  const std::filesystem::path logs = removed.at("result").at("logs").get<std::string>();
  CHECK(support::read_text(logs / "agent.log").find("agent of 'p'") != std::string::npos);
  CHECK(std::filesystem::exists(logs / "last-stop.json"));
  CHECK_FALSE(std::filesystem::exists(served.host.vm_directory("p")));
}

TEST_CASE("S09: a damaged events file spoils no id: what is new comes after all that is old, and once") {
  const Served served;
  const auto file = served.host.home() / "events.jsonl";
  served.host.ok({"host", "stop"});
  std::ofstream(file, std::ios::app) << "\n{\"id\": -1}\n{\"id\": 9223372036854775807}\n{\"id\": 1e300}\n"
                                     << "{\"id\": 18446744073709551615}\n"
                                     << "{\"id\": 9007199254740990, \"deep\": " << std::string(200'000, '[')
                                     << std::string(200'000, ']') << "}\n";
  served.host.ok({"host", "start"});
  const ApiClient api(served.host);
  api.create(process("p"));
  const Json all = api.expect(200, get("/v1/events", {{"after", "0"}}));
  CHECK(all.at("events").back().at("kind") == "vm.created");
  CHECK(all.at("events").back().at("id") == all.at("last"));
  const Json none = api.expect(200, get("/v1/events", {{"after", all.at("last").dump()}}));
  CHECK(none.at("events").empty());
}

TEST_CASE("S09: a reader that comes back with an id from the future is told of the gap, and hears what is new") {
  const Served served;
  const ApiClient api(served.host);
  CHECK(api.expect(200, get("/v1/events", {{"after", "9007199254740000"}})).at("gap") == true);
  ApiClient::Asked resumed = get("/v1/events");
  resumed.headers = {{"Last-Event-ID", "9007199254740000"}};
  std::vector<std::string> heard;
  api.follow(resumed, [&](const Json& event) {
    heard.push_back(event.at("kind"));
    if (heard.size() == 1) api.create(process("p"));
    return heard.size() < 2;
  });
  CHECK(heard == std::vector<std::string>{"gap", "vm.created"});
}

TEST_CASE("what is no file in the place of the events keeps no daemon from its work") {
  const Served served;
  const auto file = served.host.home() / "events.jsonl";
  served.host.ok({"host", "stop"});
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  served.host.ok({"host", "start"});
  const ApiClient api(served.host);
  api.create(process("p"));
  CHECK(api.expect(200, get("/v1/events")).at("events").back().at("kind") == "vm.created");
}
