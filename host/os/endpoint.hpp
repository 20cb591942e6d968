#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>

#include "base/async.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

using Stream = asio::local::stream_protocol::socket;

// A local socket that only this user can reach.
class Listener {
 public:
  // Replaces a socket that is left at `path`: the caller knows that nobody serves it any more.
  static Result<Listener> bind(const asio::any_io_executor& executor, const std::filesystem::path& path);
  // A listening socket that another process of ours made and handed down.
  static Result<Listener> adopt(const asio::any_io_executor& executor, UniqueHandle handle);
  // For handing down; owned by this object.
  RawHandle handle();
  // cancelled: the listener was closed. denied: the peer is another user; the listener goes on.
  Task<Result<Stream>> accept();
  void close();

 private:
  explicit Listener(asio::local::stream_protocol::acceptor acceptor) : acceptor_(std::move(acceptor)) {}
  asio::local::stream_protocol::acceptor acceptor_;
};

// not_found or unavailable: nobody is there.
Result<Stream> connect(const asio::any_io_executor& executor, const std::filesystem::path& path);

}  // namespace bulkhead::os
