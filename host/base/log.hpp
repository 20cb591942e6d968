#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace spdlog {
class logger;  // NOLINT(readability-identifier-naming): not ours
}

namespace bulkhead {

enum class LogLevel { debug = 1, info = 2, warning = 3, error = 4 };
Result<LogLevel> parse_log_level(std::string_view text);
std::string_view name(LogLevel level);

// json: one object for each line, with "time", "level", "message" and, where it is known, "vm".
enum class LogFormat { text, json };
Result<LogFormat> parse_log_format(std::string_view text);
std::string_view name(LogFormat format);

struct LogSettings {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  Bytes max_size{16ULL << 20};  // of one file; then it becomes NAME.1.log, and a new one is begun
  int keep = 3;                 // that many older files
  bool operator==(const LogSettings&) const = default;
};

// A handle that is passed down; there is no default logger. Any thread. Level and format are those of all its copies.
class Log {
 public:
  // Is told of each file that is begun, also of the first.
  using Opened = std::function<void(std::FILE*)>;
  // Lines are appended and flushed one by one: what was logged before a crash is in the file.
  static Result<Log> to_file(const std::filesystem::path& file, const LogSettings& settings, Opened opened = {});
  static Log to_stderr(const LogSettings& settings);
  static Log silent();
  // The same log, for lines about this VM.
  Log about(const std::string& vm) const;

  void debug(std::string_view message) const { write(LogLevel::debug, message); }
  void info(std::string_view message) const { write(LogLevel::info, message); }
  void warning(std::string_view message) const { write(LogLevel::warning, message); }
  void error(std::string_view message) const { write(LogLevel::error, message); }
  void write(LogLevel level, std::string_view message) const;

  LogLevel level() const;
  LogSettings settings() const;  // in force now
  void set_level(LogLevel level) const;
  void set_format(LogFormat format) const;

 private:
  struct State;
  Log(std::shared_ptr<State> state, std::shared_ptr<spdlog::logger> logger)
      : state_(std::move(state)), logger_(std::move(logger)) {}
  template <class Sink>
  static Log over(std::shared_ptr<Sink> sink, const LogSettings& settings);
  std::shared_ptr<State> state_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace bulkhead
