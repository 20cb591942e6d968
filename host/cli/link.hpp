#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "api/message.hpp"
#include "base/deadline.hpp"
#include "base/json.hpp"

namespace bulkhead::cli {

// The way to the daemon of one home.
class Link {
 public:
  static Result<Link> open(const std::string& home_option, std::string log_level);

  // Starts the daemon when it does not run.
  Result<void> ensure_daemon() const;
  // One request. unavailable or not_found: no daemon.
  Result<Json> call(api::Request request, Deadline deadline) const;
  const std::filesystem::path& home() const { return home_; }

 private:
  Link(std::filesystem::path home, std::filesystem::path socket, std::string log_level)
      : home_(std::move(home)), usual_socket_(std::move(socket)), log_level_(std::move(log_level)) {}
  std::filesystem::path socket() const;
  bool answers() const;
  Result<void> start_daemon(Deadline deadline) const;

  std::filesystem::path home_;
  std::filesystem::path usual_socket_;
  std::string log_level_;
};

}  // namespace bulkhead::cli
