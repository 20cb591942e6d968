#include "api/server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <utility>

namespace bulkhead::api {

namespace http = boost::beast::http;

struct Server::State {
  os::Listener listener;
  Handler handler;
  Limits limits;
  Log log;
  std::size_t connections = 0;
  Event changed{};
  bool closed = false;
};

namespace {

using HttpRequest = http::request<http::string_body>;

Result<Request> from_http(const HttpRequest& message) {
  const std::string target(message.target());
  const auto mark = target.find('?');
  Request request{.method = std::string(message.method_string()), .path = target.substr(0, mark)};
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  if (!message.body().empty()) {
    TRY(request.body, parse_json(message.body(), "request body"));
  }
  if (!request.body.is_object()) return fail(Code::invalid, "read request body: not a JSON object");
  return request;
}

http::response<http::string_body> to_http(const Response& response, unsigned version) {
  http::response<http::string_body> message{static_cast<http::status>(response.status), version};
  message.set(http::field::content_type, "application/json");
  message.body() = dump(response.body);
  message.keep_alive(false);
  message.prepare_payload();
  return message;
}

// A request that has not arrived whole by then ends the connection.
struct Reading {
  explicit Reading(os::Stream opened) : stream(std::move(opened)), timer(stream.get_executor()) {}
  os::Stream stream;
  asio::steady_timer timer;
};

void close_at(const std::shared_ptr<Reading>& reading, Deadline deadline) {
  reading->timer.expires_at(deadline);
  reading->timer.async_wait([weak = std::weak_ptr(reading)](const boost::system::error_code& error) {
    const auto alive = weak.lock();
    if (error || !alive) return;
    boost::system::error_code ignored;
    alive->stream.close(ignored);
  });
}

Response refusal(const boost::system::error_code& error) {
  if (error == http::error::body_limit || error == http::error::header_limit) {
    Response response = failure({.code = Code::refused, .what = "read request: larger than allowed"});
    response.status = 413;
    return response;
  }
  Response response = failure({.code = Code::invalid, .what = "read request: " + error.message()});
  response.status = 400;
  return response;
}

}  // namespace

Server::Server(os::Listener listener, Handler handler, Limits limits, Scope& scope, Log log)
    : state_(std::make_shared<State>(State{
          .listener = std::move(listener), .handler = std::move(handler), .limits = limits, .log = std::move(log)})),
      scope_(scope) {}

Task<void> Server::serve() {
  auto state = state_;
  while (!state->closed) {
    // Clients past the limit wait in the kernel's queue.
    while (state->connections >= state->limits.connections) co_await state->changed.wait(Deadline::max());
    auto stream = co_await state->listener.accept();
    if (stream) {
      ++state->connections;
      scope_.spawn("connection", serve_connection(state, *std::move(stream)));
    } else if (stream.error().code == Code::cancelled) {
      break;
    } else {
      state->log.warning(stream.error().what);
      if (stream.error().code != Code::denied) co_await pause_until(Clock::now() + milliseconds{100});
    }
  }
}

void Server::close() {
  state_->closed = true;
  state_->listener.close();
}

Task<void> Server::drain(Deadline deadline) {
  auto state = state_;
  while (state->connections > 0 && Clock::now() < deadline) co_await state->changed.wait(deadline);
}

Task<void> Server::serve_connection(std::shared_ptr<State> state, os::Stream stream) {
  auto reading = std::make_shared<Reading>(std::move(stream));
  auto token = asio::as_tuple(asio::use_awaitable);
  boost::beast::flat_buffer buffer;
  http::request_parser<http::string_body> parser;
  parser.body_limit(state->limits.body_bytes);
  parser.header_limit(state->limits.header_bytes);
  close_at(reading, Clock::now() + state->limits.request_time);
  auto read = co_await http::async_read(reading->stream, buffer, parser, token);
  reading->timer.cancel();

  Response response;
  auto& [error, bytes] = read;
  if (error == http::error::end_of_stream || error == asio::error::operation_aborted) {
    // The client went away, or was too slow: there is nobody to answer.
  } else if (error) {
    response = refusal(error);
  } else if (auto request = from_http(parser.get()); request) {
    Request wanted = *std::move(request);
    try {
      response = co_await state->handler(std::move(wanted));
    } catch (const std::exception& e) {
      state->log.error(std::string("a request ended with an exception, which is a bug: ") + e.what());
      response = failure({.code = Code::internal, .what = e.what()});
    }
  } else {
    response = failure(request.error());
  }
  auto message = to_http(response, 11);
  close_at(reading, Clock::now() + state->limits.request_time);
  auto written = co_await http::async_write(reading->stream, message, token);
  reading->timer.cancel();
  static_cast<void>(written);  // a client that does not wait for its answer is not an error of ours
  --state->connections;
  state->changed.notify();
}

}  // namespace bulkhead::api
