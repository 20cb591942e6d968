#include "os/endpoint.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/last_error.hpp"

namespace bulkhead::os {

namespace {

using Protocol = asio::local::stream_protocol;

Result<void> check_length(const std::filesystem::path& path) {
  if (path.native().size() < sizeof(sockaddr_un{}.sun_path)) return {};
  return fail(Code::invalid, "use socket '" + path.string() + "': the path is longer than a socket's may be",
              "set XDG_RUNTIME_DIR to a shorter directory");
}

Result<uid_t> peer_user(Stream& stream) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(stream.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return last_error("identify a peer");
  }
  return peer.uid;
}

}  // namespace

Result<UniqueHandle> listen_on(const std::filesystem::path& path) {
  CHECKED(check_length(path));
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(path.c_str());
  const std::string what = "listen on '" + path.string() + "'";
  UniqueHandle handle(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!handle) return last_error(what);
  const Protocol::endpoint endpoint(path.string());
  const int fd = static_cast<int>(handle.get());
  // The directory is private already; the mode of the socket itself is the second wall.
  const mode_t before = ::umask(S_IRWXG | S_IRWXO);
  const int bound = ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  const int error = errno;
  ::umask(before);
  if (bound != 0) return system_error(error, what);
  if (::listen(fd, SOMAXCONN) != 0) return last_error(what);
  return handle;
}

Result<Listener> Listener::adopt(const asio::any_io_executor& executor, UniqueHandle handle) {
  boost::system::error_code error;
  Protocol::acceptor acceptor(executor);
  acceptor.assign(Protocol(), static_cast<int>(handle.get()), error);
  if (error) return system_error(error.value(), "adopt a listening socket");
  static_cast<void>(handle.release());
  return Listener{std::move(acceptor)};
}

Task<Result<Stream>> Listener::accept() {
  auto token = asio::as_tuple(asio::use_awaitable);
  auto accepted = co_await acceptor_.async_accept(token);
  auto& [error, stream] = accepted;
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    co_return fail(Code::cancelled, "accept a connection: closed");
  }
  if (error) co_return system_error(error.value(), "accept a connection");
  const auto user = peer_user(stream);
  if (!user) co_return std::unexpected(user.error());
  if (*user != ::geteuid() && *user != 0) {
    co_return fail(Code::denied, "accept a connection: user " + std::to_string(*user) + " may not");
  }
  co_return std::move(stream);
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

Result<Stream> connect(const asio::any_io_executor& executor, const std::filesystem::path& path) {
  CHECKED(check_length(path));
  const std::string what = "connect to '" + path.string() + "'";
  boost::system::error_code error;
  Stream stream(executor);
  stream.open(Protocol(), error);
  // Blocking, a connect would wait for ever when the peer's queue is full, as a stopped peer's is sooner or later.
  if (!error) stream.non_blocking(true, error);
  if (!error) stream.connect(Protocol::endpoint(path.string()), error);
  if (error == asio::error::would_block || error == asio::error::try_again) {
    return fail(Code::unavailable, what + ": it does not accept connections");
  }
  if (error) return system_error(error.value(), what);
  // Where the path can be guessed, another user may serve it.
  TRY(const uid_t user, peer_user(stream));
  if (user != ::geteuid() && user != 0) {
    return fail(Code::denied, what + ": user " + std::to_string(user) + " serves it", "remove '" + path.string() + "'");
  }
  return stream;
}

bool listened_to(const std::filesystem::path& path) {
  if (!check_length(path)) return true;
  const UniqueHandle handle(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const Protocol::endpoint endpoint(path.string());
  if (!handle) return true;
  const int connected =
      ::connect(static_cast<int>(handle.get()), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  return connected == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

}  // namespace bulkhead::os
