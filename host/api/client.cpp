#include "api/client.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/url.hpp>
#include <optional>
#include <utility>

#include "os/endpoint.hpp"

namespace bulkhead::api {

namespace http = boost::beast::http;

namespace {

constexpr std::uint64_t answer_limit = 16U << 20;

http::request<http::string_body> to_http(const Request& request) {
  boost::urls::url url;
  url.set_path(request.path);
  for (const auto& [key, value] : request.query) url.params().append({key, value});
  http::request<http::string_body> message{http::string_to_verb(request.method), std::string(url.encoded_target()), 11};
  message.set(http::field::host, "bulkhead");
  for (const auto& [key, value] : request.headers) message.set(key, value);
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

namespace {

template <class T>
T wait_for(asio::io_context& context, Task<T> task) {
  std::optional<T> answer;
  asio::any_io_executor executor = context.get_executor();
  asio::co_spawn(executor, std::move(task), [&answer](const std::exception_ptr& failure, T result) {
    if (failure) std::rethrow_exception(failure);
    answer = std::move(result);
  });
  context.run();
  return *std::move(answer);
}

// One event of a stream ends with an empty line; its data is in the lines that begin with "data:".
std::string data_of(std::string_view event) {
  std::string data;
  while (!event.empty()) {
    const auto end = std::min(event.find('\n'), event.size());
    std::string_view line = event.substr(0, end);
    event.remove_prefix(std::min(end + 1, event.size()));
    if (!line.starts_with("data:")) continue;
    line.remove_prefix(5);
    if (line.starts_with(' ')) line.remove_prefix(1);
    data += (data.empty() ? "" : "\n") + std::string(line);
  }
  return data;
}

constexpr std::size_t largest_event = 1U << 20;

Task<Result<void>> stream(std::filesystem::path socket, Request request, std::function<bool(const Json&)> take,
                          Deadline deadline) {
  auto executor = co_await asio::this_coro::executor;
  auto opened = os::connect(executor, socket);
  if (!opened) co_return std::unexpected(opened.error());
  auto connection = guarded(*std::move(opened), deadline);
  auto token = asio::as_tuple(asio::use_awaitable);
  auto message = to_http(request);
  auto written = co_await http::async_write(connection->stream, message, token);
  if (auto& [error, bytes] = written; error) co_return std::unexpected(broken(*connection, socket, error));

  boost::beast::flat_buffer head;
  http::response_parser<http::string_body> parser;
  parser.body_limit(answer_limit);
  auto begun = co_await http::async_read_header(connection->stream, head, parser, token);
  if (auto& [error, bytes] = begun; error) co_return std::unexpected(broken(*connection, socket, error));
  if (parser.get().result_int() != 200) {
    auto rest = co_await http::async_read(connection->stream, head, parser, token);
    if (auto& [error, bytes] = rest; error) co_return std::unexpected(broken(*connection, socket, error));
    auto body = parse_json(parser.get().body(), "answer");
    if (!body) co_return std::unexpected(body.error());
    Response response{.status = static_cast<int>(parser.get().result_int()), .body = *std::move(body)};
    auto failed = outcome(std::move(response));
    if (!failed) co_return std::unexpected(failed.error());
    co_return fail(Code::internal, "open a stream: an answer that is none");
  }
  std::string text(static_cast<const char*>(head.data().data()), head.data().size());
  for (;;) {
    auto buffer = asio::dynamic_buffer(text, largest_event);
    auto read = co_await asio::async_read_until(connection->stream, buffer, "\n\n", token);
    auto& [error, bytes] = read;
    if (error == asio::error::eof) break;
    if (error) co_return std::unexpected(broken(*connection, socket, error));
    const std::string data = data_of(std::string_view(text).substr(0, bytes));
    text.erase(0, bytes);
    if (data.empty()) continue;  // a comment: it only shows that the server is there
    auto event = parse_json(data, "event");
    if (!event) co_return std::unexpected(event.error());
    if (!take(*event)) break;
  }
  connection->timer.cancel();
  co_return Result<void>{};
}

}  // namespace

Result<Response> call_and_wait(const std::filesystem::path& socket, Request request, Deadline deadline) {
  asio::io_context context(1);
  return wait_for(context, call(socket, std::move(request), deadline));
}

Result<void> stream_and_wait(const std::filesystem::path& socket, Request request,
                             const std::function<bool(const Json& event)>& take, Deadline deadline) {
  asio::io_context context(1);
  return wait_for(context, stream(socket, std::move(request), take, deadline));
}

}  // namespace bulkhead::api
