#include "base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <string>

#include "base/utf8_path.hpp"

namespace bulkhead {

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make(spdlog::sink_ptr sink, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("", std::move(sink));
  logger->set_level(to_spdlog(level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->flush_on(spdlog::level::trace);
  return logger;
}

// One record is one line: what a driver or a guest says cannot forge another record.
std::string one_line(std::string_view message) {
  std::string line;
  for (const char c : message) {
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') {
      line += c;
    }
  }
  return line;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (name(level) == text) return level;
  }
  return fail(Code::invalid, "log level '" + std::string(text) + "': unknown", "use debug, info, warning or error");
}

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "info";
}

Result<Log> Log::to_file(const std::filesystem::path& file, LogLevel level) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(file, ignored)) {
    return fail(Code::denied, "open log '" + utf8(file) + "': is a symbolic link", "remove '" + utf8(file) + "'");
  }
  try {
    return Log{make(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.native()), level)};
  } catch (const spdlog::spdlog_ex& e) {
    return fail(Code::io, "open log '" + utf8(file) + "': " + e.what());
  }
}

Log Log::to_stderr(LogLevel level) { return Log{make(std::make_shared<spdlog::sinks::stderr_sink_mt>(), level)}; }

Log Log::silent() { return Log{make(std::make_shared<spdlog::sinks::null_sink_mt>(), LogLevel::error)}; }

void Log::write(LogLevel level, std::string_view message) const { logger_->log(to_spdlog(level), one_line(message)); }

LogLevel Log::level() const {
  switch (logger_->level()) {
    case spdlog::level::debug: return LogLevel::debug;
    case spdlog::level::warn: return LogLevel::warning;
    case spdlog::level::err: return LogLevel::error;
    default: return LogLevel::info;
  }
}

}  // namespace bulkhead
