#include "cli/terminal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "os/handle.hpp"
#include "os/last_error.hpp"

namespace bulkhead::cli {

namespace {

constexpr char detach_key = 0x1d;  // Ctrl-]

// Keys reach the guest one by one, Ctrl-C too; put back when it goes out of scope.
class RawTerminal {
 public:
  RawTerminal() {
    termios now{};
    if (::isatty(STDIN_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &now) != 0) return;
    before_ = now;
    ::cfmakeraw(&now);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    if (before_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
  }
  bool active() const { return before_.has_value(); }

 private:
  std::optional<termios> before_;
};

Result<os::UniqueHandle> connected(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path)
    return fail(Code::invalid, "connect to '" + text + "': the path is too long");
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  os::UniqueHandle socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return os::last_error("create a socket");
  if (::connect(static_cast<int>(socket.get()), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return os::last_error("connect to '" + text + "'");
  }
  return socket;
}

bool write_whole(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(to, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

// What was read; empty at the end.
std::string_view read_some(int from, std::array<char, 4096>& buffer) {
  ssize_t got = 0;
  do {
    got = ::read(from, buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  return got > 0 ? std::string_view(buffer.data(), static_cast<std::size_t>(got)) : std::string_view{};
}

}  // namespace

Result<void> connect_terminal(const std::filesystem::path& socket) {
  TRY(const os::UniqueHandle handle, connected(socket));
  const int guest = static_cast<int>(handle.get());
  const RawTerminal raw;
  if (raw.active()) std::cerr << "connected; Ctrl-] leaves\r\n" << std::flush;
  std::array<char, 4096> buffer{};
  std::array<pollfd, 2> waits{pollfd{.fd = guest, .events = POLLIN, .revents = 0},
                              pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return os::last_error("wait for the console");
    }
    if (waits[0].revents != 0) {
      const auto said = read_some(guest, buffer);
      if (said.empty() || !write_whole(STDOUT_FILENO, said)) return {};
    }
    if (waits[1].revents != 0) {
      const auto typed = read_some(STDIN_FILENO, buffer);
      const auto detach = raw.active() ? typed.find(detach_key) : std::string_view::npos;
      if (!write_whole(guest, typed.substr(0, detach)) || detach != std::string_view::npos) return {};
      if (typed.empty()) waits[1].fd = -1;
    }
  }
}

bool is_terminal(Standard stream) {
  switch (stream) {
    case Standard::in: return ::isatty(STDIN_FILENO) == 1;
    case Standard::out: return ::isatty(STDOUT_FILENO) == 1;
    case Standard::err: return ::isatty(STDERR_FILENO) == 1;
  }
  return false;
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

namespace {
std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free);
struct sigaction before_interrupts{};
}  // namespace

Interrupts::Interrupts() {
  interrupts = 0;
  struct sigaction counting{};
  counting.sa_handler = [](int) { ++interrupts; };
  ::sigemptyset(&counting.sa_mask);
  ::sigaction(SIGINT, &counting, &before_interrupts);
  // Whoever started this program in the background wants it to ignore Ctrl-C.
  if (before_interrupts.sa_handler == SIG_IGN) ::sigaction(SIGINT, &before_interrupts, nullptr);
}

Interrupts::~Interrupts() { ::sigaction(SIGINT, &before_interrupts, nullptr); }

int Interrupts::count() const { return interrupts; }

}  // namespace bulkhead::cli
