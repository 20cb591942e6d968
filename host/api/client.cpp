#include "api/client.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <utility>

#include "os/endpoint.hpp"

namespace bulkhead::api {

namespace http = boost::beast::http;

namespace {

constexpr std::uint64_t answer_limit = 16U << 20;

http::request<http::string_body> to_http(const Request& request) {
  const std::string target = request.query.empty() ? request.path : request.path + "?" + request.query;
  http::request<http::string_body> message{http::string_to_verb(request.method), target, 11};
  message.set(http::field::host, "bulkhead");
  message.set(http::field::connection, "close");
  if (request.method != "GET") {
    message.set(http::field::content_type, "application/json");
    message.body() = dump(request.body);
  }
  message.prepare_payload();
  return message;
}

// Closes the stream at the deadline, which ends whatever waits on it.
struct Connection {
  Connection(os::Stream opened, Deadline deadline)
      : stream(std::move(opened)), timer(stream.get_executor(), deadline) {}
  os::Stream stream;
  asio::steady_timer timer;
  bool late = false;
};

std::shared_ptr<Connection> guarded(os::Stream stream, Deadline deadline) {
  auto connection = std::make_shared<Connection>(std::move(stream), deadline);
  connection->timer.async_wait([weak = std::weak_ptr(connection)](const boost::system::error_code& error) {
    const auto alive = weak.lock();
    if (error || !alive) return;
    alive->late = true;
    boost::system::error_code ignored;
    alive->stream.close(ignored);
  });
  return connection;
}

Error broken(const Connection& connection, const std::filesystem::path& socket,
             const boost::system::error_code& error) {
  if (connection.late) return {.code = Code::timed_out, .what = "call '" + socket.string() + "': no answer in time"};
  return {.code = Code::unavailable, .what = "call '" + socket.string() + "': " + error.message()};
}

}  // namespace

Task<Result<Response>> call(std::filesystem::path socket, Request request, Deadline deadline) {
  auto executor = co_await asio::this_coro::executor;
  auto stream = os::connect(executor, socket);
  if (!stream) co_return std::unexpected(stream.error());
  auto connection = guarded(*std::move(stream), deadline);
  auto token = asio::as_tuple(asio::use_awaitable);

  auto message = to_http(request);
  auto written = co_await http::async_write(connection->stream, message, token);
  if (auto& [error, bytes] = written; error) co_return std::unexpected(broken(*connection, socket, error));

  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(answer_limit);
  auto read = co_await http::async_read(connection->stream, buffer, parser, token);
  connection->timer.cancel();
  if (auto& [error, bytes] = read; error) co_return std::unexpected(broken(*connection, socket, error));

  auto body = parse_json(parser.get().body(), "answer");
  if (!body) co_return std::unexpected(within("call '" + socket.string() + "'", body.error()));
  Response response;
  response.status = static_cast<int>(parser.get().result_int());
  response.body = *std::move(body);
  co_return response;
}

Result<Response> call_and_wait(const std::filesystem::path& socket, Request request, Deadline deadline) {
  asio::io_context context(1);
  std::optional<Result<Response>> answer;
  asio::any_io_executor executor = context.get_executor();
  asio::co_spawn(executor, call(socket, std::move(request), deadline),
                 [&answer](const std::exception_ptr& failure, Result<Response> result) {
                   if (failure) std::rethrow_exception(failure);
                   answer = std::move(result);
                 });
  context.run();
  return *std::move(answer);
}

}  // namespace bulkhead::api
