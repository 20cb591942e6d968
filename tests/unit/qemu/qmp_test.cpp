#include "qemu/qmp.hpp"

#include "support/catch.hpp"

using namespace bulkhead::qemu::qmp;
using nlohmann::json;

namespace {

const std::string greeting =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": ["oob"]}})"
    "\r\n";
const std::string event = R"({"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": true}})"
                          "\r\n";
const std::string reply = R"({"return": {"status": "running"}, "id": 4})"
                          "\r\n";

}  // namespace

TEST_CASE("a greeting tells QEMU's version") {
  const auto messages = Decoder().feed(greeting);
  REQUIRE(messages.size() == 1);
  CHECK(std::get<Greeting>(messages[0]).version == "7.2.22");
}

TEST_CASE("a greeting without a version is still a greeting") {
  for (const char* odd : {R"({"QMP": {}})", R"({"QMP": null})", R"({"QMP": {"version": {"qemu": {"major": "7"}}}})"}) {
    const auto messages = Decoder().feed(std::string(odd) + "\n");
    REQUIRE(messages.size() == 1);
    CHECK(std::get<Greeting>(messages[0]).version.empty());
  }
}

TEST_CASE("events that come before a reply are told apart from it") {
  const auto messages = Decoder().feed(event + event + reply);
  REQUIRE(messages.size() == 3);
  CHECK(std::get<Event>(messages[0]).name == "SHUTDOWN");
  CHECK(std::get<Event>(messages[0]).data == json{{"guest", true}});
  CHECK(std::get<Return>(messages[2]).id == 4);
  CHECK(std::get<Return>(messages[2]).value == json{{"status", "running"}});
}

TEST_CASE("the same messages come out however the bytes are split") {
  const std::string all = greeting + event + reply;
  for (std::size_t size = 1; size < all.size(); ++size) {
    Decoder decoder;
    std::size_t count = 0;
    for (std::size_t at = 0; at < all.size(); at += size)
      count += decoder.feed(std::string_view(all).substr(at, size)).size();
    REQUIRE(count == 3);
    REQUIRE_FALSE(decoder.broken());
  }
}

TEST_CASE("a refused command carries QEMU's words") {
  const auto messages = Decoder().feed("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 9}\n");
  REQUIRE(messages.size() == 1);
  const auto& failure = std::get<Failure>(messages[0]);
  CHECK(failure.id == 9);
  CHECK(failure.error_class == "GenericError");
  CHECK(failure.description == "no");
}

TEST_CASE("replies that cannot be matched and unknown messages are skipped") {
  Decoder decoder;
  for (const char* line : {"{\"return\": {}}\n", "{\"return\": {}, \"id\": \"x\"}\n", "{\"return\": {}, \"id\": -1}\n",
                           "{\"error\": {}}\n", "{\"id\": 3}\n", "{}\n", "\r\n", "   \n"})
    CHECK(decoder.feed(line).empty());
  CHECK_FALSE(decoder.broken());
  CHECK(decoder.feed(reply).size() == 1);
}

TEST_CASE("members of the wrong kind do no harm") {
  const auto messages = Decoder().feed("{\"event\": 5, \"data\": []}\n{\"error\": 1, \"id\": 2}\n");
  REQUIRE(messages.size() == 2);
  CHECK(std::get<Event>(messages[0]).name.empty());
  CHECK(std::get<Event>(messages[0]).data == json::object());
  CHECK(std::get<Failure>(messages[1]).description.empty());
}

TEST_CASE("garbage ends the stream and nothing after it is believed") {
  for (const char* garbage : {"hello\n", "[]\n", "{\"a\":\n", "1\n", "\xff\xfe\n", "{} {}\n"}) {
    Decoder decoder;
    INFO(garbage);
    CHECK(decoder.feed(event + garbage + reply).size() == 1);
    CHECK(decoder.broken());
    CHECK(decoder.feed(reply).empty());
  }
}

TEST_CASE("a message without an end cannot make the decoder grow") {
  Decoder decoder(1000);
  const std::string chunk(300, 'x');
  for (int i = 0; i < 4; ++i) CHECK(decoder.feed(chunk).empty());
  CHECK(decoder.broken());
  CHECK(decoder.why_broken() == "a message is larger than 1000 bytes");
}

TEST_CASE("a message of exactly the limit is taken") {
  const std::string line = reply.substr(0, reply.size() - 1);
  CHECK(Decoder(line.size()).feed(reply).size() == 1);
  Decoder small(line.size() - 1);
  CHECK(small.feed(reply).empty());
  CHECK(small.broken());
}

TEST_CASE("deep nesting is refused or skipped without harm") {
  Decoder decoder;
  CHECK(decoder.feed("{\"a\":" + std::string(100000, '[') + "\n").empty());
  CHECK(decoder.broken());
  CHECK(Decoder().feed("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}\n").empty());
}

TEST_CASE("a command is one line of JSON whatever its arguments are") {
  const std::string line = encode(7, "device_del", json{{"id", "a\"b\nc"}});
  CHECK(line.find('\n') == line.size() - 1);
  const json value = json::parse(line);
  CHECK(value["execute"] == "device_del");
  CHECK(value["id"] == 7);
  CHECK(value["arguments"]["id"] == "a\"b\nc");
  CHECK_FALSE(json::parse(encode(1, "quit")).contains("arguments"));
}

TEST_CASE("the run state is read from a reply or is not there") {
  CHECK(run_state_in(json{{"status", "io-error"}}) == "io-error");
  CHECK_FALSE(run_state_in(json::array()));
  CHECK_FALSE(run_state_in(json{{"status", 3}}));
}
