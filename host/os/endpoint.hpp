#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>

#include "base/async.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

using Stream = asio::local::stream_protocol::socket;

// A listening local socket that only this user can reach. Replaces one that is left at `path`: the caller knows that
// nobody serves it any more. As a plain handle it can be handed down; a Listener's own socket must not be, since epoll
// would go on reporting events of the copy after this process has closed its own.
Result<UniqueHandle> listen_on(const std::filesystem::path& path);

class Listener {
 public:
  static Result<Listener> adopt(const asio::any_io_executor& executor, UniqueHandle handle);
  // cancelled: the listener was closed. denied: the peer is another user; the listener goes on.
  Task<Result<Stream>> accept();
  void close();

 private:
  explicit Listener(asio::local::stream_protocol::acceptor acceptor) : acceptor_(std::move(acceptor)) {}
  asio::local::stream_protocol::acceptor acceptor_;
};

// not_found or unavailable: nobody is there.
Result<Stream> connect(const asio::any_io_executor& executor, const std::filesystem::path& path);

// Somebody listens there, or it cannot be told. Never waits.
bool listened_to(const std::filesystem::path& path);

}  // namespace bulkhead::os
