#include "api/server.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>
#include <deque>
#include <utility>

namespace bulkhead::api {

namespace http = boost::beast::http;

// A request that has not arrived whole by then ends the connection.
struct Reading {
  explicit Reading(os::Stream opened) : stream(std::move(opened)), timer(stream.get_executor()) {}
  os::Stream stream;
  asio::steady_timer timer;
  void close() {
    boost::system::error_code ignored;
    stream.close(ignored);
  }
};

struct Server::State {
  os::Listener listener;
  Handler handler;
  Limits limits;
  Log log;
  std::size_t open = 0;                          // being read, handled or written
  std::size_t handled = 0;                       // being handled
  std::size_t streams = 0;                       // being sent
  std::deque<std::weak_ptr<Reading>> reading{};  // whose request has not arrived yet, the oldest first
  Event changed{};
  bool closed = false;
};

namespace {

using HttpRequest = http::request<http::string_body>;

// The path and the query in clear text. A '/' that was encoded would be taken for a separator: no path of ours has one.
Result<void> read_target(std::string_view target, Request& request) {
  const auto parsed = boost::urls::parse_origin_form(target);
  if (!parsed) return fail(Code::invalid, "read request: its target is no path with a query");
  for (const auto& segment : parsed->segments()) {
    if (segment.find('/') != std::string::npos)
      return fail(Code::not_found, "read request: an encoded '/' in its path");
    request.path += "/" + segment;
  }
  for (const auto& parameter : parsed->params()) request.query[parameter.key] = parameter.value;
  return {};
}

Result<Request> from_http(const HttpRequest& message) {
  Request request{.method = std::string(message.method_string()), .path = {}};
  CHECKED(read_target(std::string_view(message.target().data(), message.target().size()), request));
  for (const auto& field : message) {
    std::string key(field.name_string());
    std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[std::move(key)] = std::string(field.value());
  }
  if (!message.body().empty()) {
    TRY(request.body, parse_json(message.body(), "request body"));
  }
  if (!request.body.is_object()) return fail(Code::invalid, "read request body: not a JSON object");
  return request;
}

template <class Message>
void set_headers(Message& message, const Response& response) {
  message.set(http::field::content_type, "application/json");
  for (const auto& [key, value] : response.headers) message.set(key, value);
  message.keep_alive(false);
}

http::response<http::string_body> to_http(const Response& response) {
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  set_headers(message, response);
  message.body() = dump(response.body);
  message.prepare_payload();
  return message;
}

class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  std::size_t& count_;
};

void close_at(const std::shared_ptr<Reading>& reading, Deadline deadline) {
  reading->timer.expires_at(deadline);
  reading->timer.async_wait([weak = std::weak_ptr(reading)](const boost::system::error_code& error) {
    const auto alive = weak.lock();
    if (!error && alive) alive->close();
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
    auto stream = co_await state->listener.accept();
    if (stream) {
      ++state->open;
      make_room(*state);
      scope_.spawn("connection", serve_connection(state, *std::move(stream)));
    } else if (stream.error().code == Code::cancelled) {
      break;
    } else {
      state->log.warning(stream.error().what);
      if (stream.error().code != Code::denied) co_await pause_until(Clock::now() + milliseconds{100});
    }
  }
}

// A connection that says nothing must not keep others out: past the limit the oldest that is still silent is closed. A
// request that is being handled does not count, however long it takes.
void Server::make_room(State& state) {
  std::erase_if(state.reading, [](const std::weak_ptr<Reading>& one) { return one.expired(); });
  while (state.reading.size() >= state.limits.connections) {
    if (const auto oldest = state.reading.front().lock()) oldest->close();
    state.reading.pop_front();
  }
}

void Server::close() {
  state_->closed = true;
  state_->listener.close();
}

Task<void> Server::drain(Deadline deadline) {
  auto state = state_;
  while (state->open > 0 && Clock::now() < deadline) co_await state->changed.wait(deadline);
}

Task<void> Server::serve_connection(std::shared_ptr<State> state, os::Stream stream) {
  auto reading = std::make_shared<Reading>(std::move(stream));
  state->reading.push_back(reading);
  try {
    co_await answer(state, reading);
  } catch (const std::exception& e) {
    state->log.error(std::string("a request ended with an exception, which is a bug: ") + e.what());
  }
  --state->open;
  state->changed.notify();
}

Task<void> Server::answer(std::shared_ptr<State> state, std::shared_ptr<Reading> reading) {
  auto token = asio::as_tuple(asio::use_awaitable);
  boost::beast::flat_buffer buffer;
  http::request_parser<http::string_body> parser;
  parser.body_limit(state->limits.body_bytes);
  parser.header_limit(state->limits.header_bytes);
  close_at(reading, Clock::now() + state->limits.request_time);
  auto read = co_await http::async_read(reading->stream, buffer, parser, token);
  reading->timer.cancel();
  std::erase_if(state->reading, [&](const std::weak_ptr<Reading>& one) { return one.lock() == reading; });

  Response response;
  auto& [error, bytes] = read;
  if (error == http::error::end_of_stream || error == asio::error::operation_aborted) {
    co_return;  // the client went away, or was too slow: there is nobody to answer
  }
  if (error) {
    response = refusal(error);
  } else if (state->handled >= state->limits.requests) {
    response = failure({.code = Code::unavailable, .what = "read request: too many are being handled"});
    response.headers["retry-after"] = "5";
  } else if (auto request = from_http(parser.get()); request) {
    Request wanted = *std::move(request);
    const Counted counted(state->handled);
    response = co_await state->handler(std::move(wanted));
  } else {
    response = failure(request.error());
  }
  if (response.stream && state->streams >= state->limits.streams) {
    response = failure({.code = Code::unavailable, .what = "open a stream: too many are open"});
  }
  if (response.stream) {
    const Counted counted(state->streams);
    co_await send_stream(state, reading, std::move(response));
    co_return;
  }
  auto message = to_http(response);
  close_at(reading, Clock::now() + state->limits.request_time);
  auto written = co_await http::async_write(reading->stream, message, token);
  reading->timer.cancel();
  static_cast<void>(written);  // a client that does not wait for its answer is not an error of ours
}

// Until the stream ends, or the client does not take what is sent.
Task<void> Server::send_stream(std::shared_ptr<State> state, std::shared_ptr<Reading> reading, Response response) {
  auto token = asio::as_tuple(asio::use_awaitable);
  http::response<http::empty_body> head{static_cast<http::status>(response.status), 11};
  set_headers(head, response);
  http::response_serializer<http::empty_body> serializer(head);
  close_at(reading, Clock::now() + state->limits.request_time);
  auto begun = co_await http::async_write_header(reading->stream, serializer, token);
  if (std::get<0>(begun)) co_return;
  while (!state->closed) {
    reading->timer.cancel();
    const std::string chunk = co_await response.stream();
    if (chunk.empty()) break;
    close_at(reading, Clock::now() + state->limits.request_time);
    auto buffer = asio::buffer(chunk);
    auto sent = co_await asio::async_write(reading->stream, buffer, token);
    if (std::get<0>(sent)) break;
  }
  reading->timer.cancel();
}

}  // namespace bulkhead::api
