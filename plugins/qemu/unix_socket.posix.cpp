#include "qemu/unix_socket.posix.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>

#include "bulkhead/driver.hpp"

namespace bulkhead::qemu {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int send_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
#else
constexpr int send_flags = MSG_DONTWAIT;  // macOS: SO_NOSIGPIPE is set on the socket
#endif

[[noreturn]] void fail(const char* verb, const std::string& path, int error) {
  const bulkhead_status status = error == EACCES || error == EPERM    ? BULKHEAD_PERMISSION
                                 : error == EMFILE || error == ENFILE ? BULKHEAD_RESOURCE
                                                                      : BULKHEAD_UNAVAILABLE;
  throw Status(status, std::string(verb) + " '" + path + "': " + std::generic_category().message(error),
               R"({"errno":)" + std::to_string(error) + "}");
}

Fd stream_socket(const char* verb, const std::string& path) {
  Fd fd{::socket(AF_UNIX, SOCK_STREAM, 0)};
  if (!fd || ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) fail(verb, path, errno);
#ifdef SO_NOSIGPIPE
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

sockaddr_un address_of(const char* verb, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(verb, path, ENAMETOOLONG);
  std::ranges::copy(path, address.sun_path);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

Fd listen_at(const std::string& path) {
  const char* const verb = "listen on";
  const sockaddr_un address = address_of(verb, path);
  Fd fd = stream_socket(verb, path);
  ::unlink(path.c_str());
  // Before bind, so that nobody else can connect in between (Linux; elsewhere the directory's mode protects the
  // socket).
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), generic(address), sizeof address) != 0 || ::listen(fd.get(), 8) != 0) fail(verb, path, errno);
  return fd;
}

Connection::Connection(const std::string& path) {
  const char* const verb = "connect to";
  const sockaddr_un address = address_of(verb, path);
  fd_ = stream_socket(verb, path);
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
  if (::connect(fd_.get(), generic(address), sizeof address) != 0) fail(verb, path, errno);
  ::fcntl(fd_.get(), F_SETFL, flags);
}

std::size_t Connection::receive(char* buffer, std::size_t capacity) const {
  ssize_t n = 0;
  do {
    n = ::recv(fd_.get(), buffer, capacity, 0);
  } while (n < 0 && errno == EINTR);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Connection::send_some(std::string_view& bytes) const {
  const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), send_flags);
  if (n >= 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  return n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void Connection::wait_writable(std::chrono::milliseconds limit) const {
  pollfd entry{fd_.get(), POLLOUT, 0};
  ::poll(&entry, 1, static_cast<int>(limit.count()));
}

void Connection::shut_down() const noexcept { ::shutdown(fd_.get(), SHUT_RDWR); }

}  // namespace bulkhead::qemu
