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

}  // namespace

Result<Listener> Listener::bind(const asio::any_io_executor& executor, const std::filesystem::path& path) {
  CHECKED(check_length(path));
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(path.c_str());
  boost::system::error_code error;
  Protocol::acceptor acceptor(executor);
  acceptor.open(Protocol(), error);
  // The directory is private already; the mode of the socket itself is the second wall.
  const mode_t before = ::umask(S_IRWXG | S_IRWXO);
  if (!error) acceptor.bind(Protocol::endpoint(path.string()), error);
  ::umask(before);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return system_error(error.value(), "listen on '" + path.string() + "'");
  return Listener{std::move(acceptor)};
}

Result<Listener> Listener::adopt(const asio::any_io_executor& executor, UniqueHandle handle) {
  boost::system::error_code error;
  Protocol::acceptor acceptor(executor);
  acceptor.assign(Protocol(), static_cast<int>(handle.get()), error);
  if (error) return system_error(error.value(), "adopt a listening socket");
  static_cast<void>(handle.release());
  return Listener{std::move(acceptor)};
}

RawHandle Listener::handle() { return acceptor_.native_handle(); }

Task<Result<Stream>> Listener::accept() {
  auto token = asio::as_tuple(asio::use_awaitable);
  auto accepted = co_await acceptor_.async_accept(token);
  auto& [error, stream] = accepted;
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    co_return fail(Code::cancelled, "accept a connection: closed");
  }
  if (error) co_return system_error(error.value(), "accept a connection");
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(stream.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    co_return last_error("identify a peer");
  }
  if (peer.uid != ::geteuid() && peer.uid != 0) {
    co_return fail(Code::denied, "accept a connection: user " + std::to_string(peer.uid) + " may not");
  }
  co_return std::move(stream);
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

Result<Stream> connect(const asio::any_io_executor& executor, const std::filesystem::path& path) {
  CHECKED(check_length(path));
  boost::system::error_code error;
  Stream stream(executor);
  // A local connect does not wait for the peer's accept: it succeeds or fails at once, unless the backlog is full.
  stream.connect(Protocol::endpoint(path.string()), error);
  if (error) return system_error(error.value(), "connect to '" + path.string() + "'");
  return stream;
}

}  // namespace bulkhead::os
