#include "os/service.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/born.hpp"
#include "os/endpoint.hpp"
#include "os/paths.hpp"

using namespace bulkhead;
using namespace bulkhead::support;
using namespace std::chrono_literals;

namespace {

constexpr std::array variables{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                               "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES"};

os::Service service_with(const std::map<std::string, std::string>& environment) {
  for (const char* name : variables) ::unsetenv(name);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  return os::Service::from_environment();
}

bool any_variable_left() {
  return std::ranges::any_of(variables, [](const char* name) { return std::getenv(name) != nullptr; });
}

// A service manager's end of the protocol. `address`: a path, or '@' and a name.
class Manager {
 public:
  explicit Manager(const std::string& address) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un bound{};
    bound.sun_family = AF_UNIX;
    std::memcpy(bound.sun_path, address.data(), address.size());
    if (address[0] == '@') bound.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(::bind(fd(), reinterpret_cast<const sockaddr*>(&bound), size) == 0);
  }
  std::string told() const {
    std::array<char, 512> text{};
    const auto size = ::recv(fd(), text.data(), text.size(), 0);
    return size < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  int fd() const { return static_cast<int>(socket_.get()); }
  os::UniqueHandle socket_;
};

// Where passed handles begin. What this program has there is put back.
class ThirdHandle {
 public:
  explicit ThirdHandle(int fd) : saved_(::fcntl(3, F_DUPFD_CLOEXEC, 10)) { REQUIRE(::dup2(fd, 3) == 3); }
  ThirdHandle(const ThirdHandle&) = delete;
  ThirdHandle& operator=(const ThirdHandle&) = delete;
  ~ThirdHandle() {
    ::close(3);
    if (saved_ < 0) return;
    ::dup2(saved_, 3);
    ::close(saved_);
  }

 private:
  int saved_;
};

std::map<std::string, std::string> one_socket() {
  return {{"LISTEN_PID", std::to_string(::getpid())}, {"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "api"}};
}

// What becomes of `fd` when a manager passes it for a listener at `path`.
Result<os::UniqueHandle> passed(int fd, const std::filesystem::path& path) {
  const ThirdHandle third(fd);
  os::Service service = service_with(one_socket());
  auto taken = service.take_listener(path);
  // Out of the way of what is put back.
  if (taken && *taken) return os::UniqueHandle(::fcntl(static_cast<int>(taken->get()), F_DUPFD_CLOEXEC, 10));
  return taken;
}

}  // namespace

TEST_CASE("a program that no service manager started tells nobody, and is passed nothing") {
  os::Service service = service_with({});
  CHECK_FALSE(service.managed());
  CHECK_FALSE(service.alive_interval().has_value());
  CHECK(service.ready());
  CHECK(service.stopping());
  const auto listener = service.take_listener("/x");
  REQUIRE(listener);
  CHECK_FALSE(*listener);
}

TEST_CASE("a service manager is told all, at a path and at an abstract address") {
  const TempDir folder;
  for (const std::string& address : {(folder / "notify").string(), "@bulkhead-test-" + folder.path().string()}) {
    INFO(address);
    const Manager manager(address);
    const os::Service service = service_with({{"NOTIFY_SOCKET", address}});
    CHECK(service.managed());
    CHECK_FALSE(any_variable_left());
    REQUIRE(service.ready());
    CHECK(manager.told() == "READY=1");
    REQUIRE(service.stopping());
    CHECK(manager.told() == "STOPPING=1");
    REQUIRE(service.alive());
    CHECK(manager.told() == "WATCHDOG=1");
    REQUIRE(service.status("1 VM runs\nREADY=1"));
    CHECK(manager.told() == "STATUS=1 VM runs READY=1");
    REQUIRE(service.reloading());
    const std::string reloading = manager.told();
    CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
    const std::int64_t told = std::stoll(reloading.substr(reloading.rfind('=') + 1));
    CHECK(told <= now);
    CHECK(told > now - 60'000'000);
  }
}

TEST_CASE("a service manager that cannot be told is an error, and holds nobody up") {
  const TempDir folder;
  const auto gone = service_with({{"NOTIFY_SOCKET", (folder / "nobody").string()}}).ready();
  REQUIRE_FALSE(gone);
  CHECK(gone.error().what.find("nobody") != std::string::npos);
  CHECK(service_with({{"NOTIFY_SOCKET", "vsock:2:1234"}}).ready().error().code == Code::unsupported);
  CHECK(service_with({{"NOTIFY_SOCKET", "/" + std::string(200, 'x')}}).ready().error().code == Code::unsupported);

  const std::string full = (folder / "full").string();
  const Manager manager(full);
  const os::Service service = service_with({{"NOTIFY_SOCKET", full}});
  const auto begin = Clock::now();
  Result<void> told{};
  for (int i = 0; i < 10'000 && told; ++i) told = service.alive();
  CHECK_FALSE(told);
  CHECK(Clock::now() - begin < generous);
}

TEST_CASE("the watchdog is fed in half its time, and only by the process it waits for") {
  const std::string self = std::to_string(::getpid());
  CHECK(service_with({{"WATCHDOG_USEC", "30000000"}}).alive_interval() == milliseconds{15s});
  CHECK(service_with({{"WATCHDOG_USEC", "3000000"}, {"WATCHDOG_PID", self}}).alive_interval() == milliseconds{1500});
  CHECK_FALSE(service_with({{"WATCHDOG_USEC", "3000000"}, {"WATCHDOG_PID", "1"}}).alive_interval());
  for (const char* odd : {"0", "-1", "soon", "1s", "99999999999999999999"}) {
    INFO(odd);
    CHECK_FALSE(service_with({{"WATCHDOG_USEC", odd}}).alive_interval());
    CHECK_FALSE(any_variable_left());
  }
}

TEST_CASE("a listening socket that was passed is taken once, and no program that is run gets it") {
  const TempDir folder;
  const auto path = folder / "host.sock";
  const auto listener = os::listen_on(path);
  REQUIRE(listener);
  const ThirdHandle third(static_cast<int>(listener->get()));
  os::Service service = service_with(one_socket());
  CHECK(service.managed());
  CHECK_FALSE(any_variable_left());
  CHECK((::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
  auto taken = service.take_listener(path);
  REQUIRE(taken);
  CHECK(taken->release() == 3);
  const auto again = service.take_listener(path);
  REQUIRE(again);
  CHECK_FALSE(*again);
}

TEST_CASE("what was passed and is not the socket that clients look for is refused, and the error says what it is") {
  const TempDir folder;
  const auto path = folder / "host.sock";
  const auto refusal = [&](int fd) {
    const auto taken = passed(fd, path);
    return taken ? std::string("taken") : taken.error().what;
  };
  const auto says = [](const std::string& what, const char* part) {
    INFO(what);
    CHECK(what.find(part) != std::string::npos);
  };
  const auto good = os::listen_on(path);
  CHECK(passed(static_cast<int>(good->get()), path));
  CHECK(passed(static_cast<int>(good->get()), folder / "." / "host.sock"));

  const auto elsewhere = os::listen_on(folder / "other.sock");
  says(refusal(static_cast<int>(elsewhere->get())), "other.sock', and clients look for");
  CHECK(passed(static_cast<int>(elsewhere->get()), path).error().hint == "set ListenStream=" + path.string());
  const os::UniqueHandle file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  says(refusal(static_cast<int>(file.get())), "no socket");
  const os::UniqueHandle internet(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  says(refusal(static_cast<int>(internet.get())), "no local stream socket");
  const os::UniqueHandle datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  says(refusal(static_cast<int>(datagrams.get())), "no local stream socket");
  const os::UniqueHandle deaf(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  says(refusal(static_cast<int>(deaf.get())), "does not listen");
  const os::UniqueHandle nameless(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un automatic{};
  automatic.sun_family = AF_UNIX;
  REQUIRE(::bind(static_cast<int>(nameless.get()), reinterpret_cast<const sockaddr*>(&automatic),
                 sizeof(sa_family_t)) == 0);
  REQUIRE(::listen(static_cast<int>(nameless.get()), 1) == 0);
  says(refusal(static_cast<int>(nameless.get())), "bound to no path");
}

TEST_CASE("sockets that were passed to another process are not touched") {
  const TempDir folder;
  const auto listener = os::listen_on(folder / "host.sock");
  const ThirdHandle third(static_cast<int>(listener->get()));
  auto environment = one_socket();
  environment["LISTEN_PID"] = "1";
  os::Service service = service_with(environment);
  CHECK_FALSE(service.managed());
  CHECK_FALSE(any_variable_left());
  const auto taken = service.take_listener("/elsewhere");
  REQUIRE(taken);
  CHECK_FALSE(*taken);
  CHECK(::fcntl(3, F_GETFD) >= 0);
}

TEST_CASE("only the home in the account's own directory has a runtime directory that a unit file can name") {
  const passwd* const account = ::getpwuid(::geteuid());
  REQUIRE(account != nullptr);
  const std::filesystem::path own = account->pw_dir;
  CHECK(os::runtime_directory(own / ".local/state/bulkhead").value().filename() == "default");
  for (const auto& home : {own, own / ".local/state", own / ".local/state/bulkhead2", std::filesystem::path("/x")}) {
    INFO(home);
    CHECK(os::runtime_directory(home).value().filename().string().size() == 8);
    CHECK(os::runtime_directory(home).value().filename() != os::runtime_directory(own / "other").value().filename());
  }
}
