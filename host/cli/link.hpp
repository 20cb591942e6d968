#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "api/message.hpp"
#include "base/deadline.hpp"
#include "base/json.hpp"

namespace bulkhead::cli {

// The way to the daemon of one home.
class Link {
 public:
  // `log_level`: of a daemon that is started; nothing: it finds it out itself.
  static Result<Link> open(const std::string& home_option, std::optional<std::string> log_level);

  // Starts the daemon when it does not run. A start that has begun goes on after the deadline.
  Result<void> ensure_daemon(std::optional<Deadline> deadline = std::nullopt) const;
  // One request. unavailable or not_found: no daemon. A GET is asked once more when the daemon went away.
  Result<Json> call(const api::Request& request, Deadline deadline) const;
  // The same, of a daemon that is started when it does not run.
  Result<Json> ask(const api::Request& request, Deadline deadline) const;
  // Server-sent events; see api::stream_and_wait.
  Result<void> stream(api::Request request, const std::function<bool(const Json&)>& take, Deadline deadline) const;
  const std::filesystem::path& home() const { return home_; }

 private:
  Link(std::filesystem::path home, std::filesystem::path socket, std::optional<std::string> log_level)
      : home_(std::move(home)), usual_socket_(std::move(socket)), log_level_(std::move(log_level)) {}
  std::filesystem::path socket() const;
  bool answers(Deadline deadline) const;
  Result<void> start_daemon(Deadline deadline) const;

  std::filesystem::path home_;
  std::filesystem::path usual_socket_;
  std::optional<std::string> log_level_;
};

// For what is answered at once.
inline Deadline soon() { return Clock::now() + milliseconds{10'000}; }
inline bool no_daemon(const Error& error) { return error.code == Code::not_found || error.code == Code::unavailable; }

}  // namespace bulkhead::cli
