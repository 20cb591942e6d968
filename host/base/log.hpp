#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.hpp"

namespace spdlog {
class logger;  // NOLINT(readability-identifier-naming): not ours
}

namespace bulkhead {

enum class LogLevel { debug = 1, info = 2, warning = 3, error = 4 };
Result<LogLevel> parse_log_level(std::string_view text);
std::string_view name(LogLevel level);

// A handle that is passed down; there is no default logger. Any thread.
class Log {
 public:
  // Lines are appended and flushed one by one: what was logged before a crash is in the file.
  static Result<Log> to_file(const std::filesystem::path& file, LogLevel level);
  static Log to_stderr(LogLevel level);
  static Log silent();

  void debug(std::string_view message) const { write(LogLevel::debug, message); }
  void info(std::string_view message) const { write(LogLevel::info, message); }
  void warning(std::string_view message) const { write(LogLevel::warning, message); }
  void error(std::string_view message) const { write(LogLevel::error, message); }
  void write(LogLevel level, std::string_view message) const;
  LogLevel level() const;

 private:
  explicit Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace bulkhead
