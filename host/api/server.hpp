#pragma once

#include <memory>

#include "api/message.hpp"
#include "os/endpoint.hpp"

namespace bulkhead::api {

struct Reading;

// Serves requests on a local socket until it is closed. A handler that runs is never cancelled: a client that goes away
// does not end what it asked for.
class Server {
 public:
  Server(os::Listener listener, Handler handler, Limits limits, Scope& scope, Log log);
  // Returns when the server is closed.
  Task<void> serve();
  // No more connections; those that are being answered go on.
  void close();
  // After close: returns when the last answer is out, or at the deadline.
  Task<void> drain(Deadline deadline);

 private:
  struct State;
  static void make_room(State& state);
  static Task<void> answer(std::shared_ptr<State> state, std::shared_ptr<Reading> reading);
  static Task<void> send_stream(std::shared_ptr<State> state, std::shared_ptr<Reading> reading, Response response);
  static Task<void> serve_connection(std::shared_ptr<State> state, os::Stream stream);

  std::shared_ptr<State> state_;
  Scope& scope_;
};

}  // namespace bulkhead::api
