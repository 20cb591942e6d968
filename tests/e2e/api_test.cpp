#include <algorithm>
#include <array>
#include <chrono>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

// A client that says what it likes.
class RawClient {
 public:
  explicit RawClient(const fs::path& socket) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  // As much as the other side takes.
  void say(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t put = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  // What comes until `wanted` has come, the other side closes, or the time is over.
  std::string hear(const std::string& wanted) const {
    std::string heard;
    std::array<char, 4096> buffer{};
    pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
    while (heard.find(wanted) == std::string::npos && ::poll(&poll_fd, 1, 20'000) > 0) {
      const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      heard.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return heard;
  }

 private:
  int fd_;
};

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class Api {
 public:
  Api() {
    host_.ok({"host", "start"});
    pid_ = host_.daemon();
    for (const auto& entry : fs::recursive_directory_iterator(host_.runtime())) {
      if (entry.path().filename() == "host.sock") socket_ = entry.path();
    }
    REQUIRE_FALSE(socket_.empty());
  }
  std::string exchange(const std::string& said, const std::string& wanted = "\r\n\r\n") const {
    const RawClient client(socket_);
    client.say(said);
    return client.hear(wanted);
  }
  void is_well() const {
    CHECK(host_.ok({"host", "status"}).at("pid") == pid_);
    CHECK(host_.ok({"list"}).at("vms").empty());
  }
  std::int64_t memory_kib() const {
    const std::string status = support::read_text("/proc/" + std::to_string(pid_) + "/status");
    return std::atoll(status.substr(status.find("VmRSS:") + 6).c_str());
  }
  const HostUnderTest& host() const { return host_; }
  const fs::path& socket() const { return socket_; }

 private:
  HostUnderTest host_;
  std::int64_t pid_ = 0;
  fs::path socket_;
};

}  // namespace

TEST_CASE("X04: what is not HTTP, not JSON or not an object is refused and the daemon goes on") {
  const Api api;
  api.exchange(std::string("\0\1\2garbage\r\n\r\n", 14));
  api.exchange("GET\r\n\r\n");
  for (const char* body :
       {"", "{", "[]", "null", "\"x\"", "{\"spec\": 1}", "{\"spec\": {\"name\": \"\xff\xfe\"}}", "1e999"}) {
    CAPTURE(body);
    CHECK(contains(api.exchange(post("/v1/vms", body)), " 4"));  // a status of 4xx
  }
  api.is_well();
}

TEST_CASE("X04: numbers that fit nowhere and wrong types in a body are survived") {
  const Api api;
  api.host().create(HostUnderTest::firmware("fw"));
  for (const char* body :
       {R"({"timeout_ms": 1e300})", R"({"timeout_ms": -9223372036854775808})", R"({"timeout_ms": 9223372036854775807})",
        R"({"timeout_ms": 18446744073709551615})", R"({"grace_ms": 9223372036854775807, "force": "yes"})"}) {
    CAPTURE(body);
    CHECK(contains(api.exchange(post("/v1/vms/fw/stop", body)), "HTTP/1.1 "));
  }
  api.host().ok({"remove", "fw"});
  api.is_well();
}

TEST_CASE("X04: a request that is too large is refused before it is taken in") {
  const Api api;
  const auto before = api.memory_kib();
  api.exchange("GET /v1/vms HTTP/1.1\r\nX: " + std::string(8 << 20, 'a'));
  api.exchange("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n" + std::string(8 << 20, 'b'));
  api.exchange(post("/v1/vms", std::string(64 << 20, 'c')));
  CHECK(api.memory_kib() - before < 48 * 1024);
  api.is_well();
}

TEST_CASE("X04: deep nesting does not end the daemon") {
  const Api api;
  for (const std::size_t depth : {1'000U, 100'000U}) {
    CAPTURE(depth);
    const std::string deep = std::string(depth, '[') + std::string(depth, ']');
    api.exchange(
        post("/v1/vms", R"({"folder":"/","spec":{"name":"x","driver":"qemu","options":{"extra_args":)" + deep + "}}}"));
    api.is_well();
  }
}

TEST_CASE("X04: slow clients and clients that leave in the middle do not hold others up") {
  const Api api;
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(std::make_unique<RawClient>(api.socket()));
    slow.back()->say("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Le");
  }
  const auto began = std::chrono::steady_clock::now();
  api.is_well();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  slow.clear();
  api.is_well();
}

TEST_CASE("I7: force overtakes also when many clients wait for the end of a graceful stop") {
  const Api api;
  const HostUnderTest& host = api.host();
  host.run_vm(HostUnderTest::firmware("fw", "ignore"));
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(std::make_unique<RawClient>(api.socket()));
    waiting.back()->say(post("/v1/vms/fw/stop", R"({"grace_ms": 30000})"));
  }
  REQUIRE(host.console_says("fw", "POWERBUTTON"));
  const auto began = std::chrono::steady_clock::now();
  CHECK(host.ok({"stop", "--force", "fw"}).at("rung") == "force");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
  waiting.clear();
  host.ok({"remove", "--force", "fw"});
  api.is_well();
}

TEST_CASE("I7: clients that wait for an operation and leave do not keep a forced stop out") {
  const Api api;
  const HostUnderTest& host = api.host();
  host.run_vm(HostUnderTest::firmware("fw", "ignore"));
  const std::string begun = api.exchange(post("/v1/vms/fw/stop", R"({"grace_ms": 600000})"), "}");
  const Json operation = Json::parse(begun.substr(begun.find("\r\n\r\n")));
  const std::string where = "/v1/operations/" + operation.at("id").get<std::string>();
  // More than the daemon handles at once. Each request is taken before the next is made.
  for (int i = 0; i < 1'200; ++i) {
    const RawClient client(api.socket());
    client.say("GET " + where + "?wait=1h HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(contains(api.exchange("GET /v1/host HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200"));
  CHECK(host.ok({"stop", "--force", "fw"}).at("rung") == "force");
  host.ok({"remove", "fw"});
  api.is_well();
}

TEST_CASE("X04: requests sent in one go are answered or refused, one by one") {
  const Api api;
  std::string many;
  for (int i = 0; i < 50; ++i) many += "GET /v1/host HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(contains(api.exchange(many), "HTTP/1.1 200"));
  api.is_well();
}

TEST_CASE("X04: paths that lead nowhere are not found") {
  const Api api;
  for (const char* path :
       {"/", "/v1", "/v2/vms", "/v1/vms/../../etc/passwd", "/v1/vms/%2e%2e", "/v1/vms//start", "/v1/vms/a b"}) {
    CAPTURE(path);
    const std::string answer = api.exchange("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(contains(answer, "HTTP/1.1 4"));
  }
  api.is_well();
}
