#include "base/log.hpp"

#include <atomic>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/json.hpp"
#include "base/timestamp.hpp"
#include "base/utf8_path.hpp"

namespace bulkhead {

struct Log::State {
  explicit State(const LogSettings& from) : rest(from), level(from.level), format(from.format) {}
  const LogSettings rest;  // level and format excepted
  std::atomic<LogLevel> level;
  std::atomic<LogFormat> format;
};

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

LogLevel from_spdlog(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug: return LogLevel::debug;
    case spdlog::level::warn: return LogLevel::warning;
    case spdlog::level::err:
    case spdlog::level::critical: return LogLevel::error;
    default: return LogLevel::info;
  }
}

std::string_view view(spdlog::string_view_t text) { return {text.data(), text.size()}; }

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

// The logger's name is the VM's.
std::string json_line(const spdlog::details::log_msg& record) {
  Json line{{"time", timestamp(record.time)},
            {"level", name(from_spdlog(record.level))},
            {"message", std::string(view(record.payload))}};
  if (record.logger_name.size() > 0) line["vm"] = std::string(view(record.logger_name));
  return dump(line) + "\n";
}

class Formatter : public spdlog::formatter {
 public:
  explicit Formatter(std::function<LogFormat()> wanted) : wanted_(std::move(wanted)) {}
  void format(const spdlog::details::log_msg& record, spdlog::memory_buf_t& out) override {
    if (wanted_() == LogFormat::json) {
      const std::string line = json_line(record);
      out.append(line.data(), line.data() + line.size());
      return;
    }
    const std::string message = one_line(view(record.payload));
    spdlog::details::log_msg plain = record;
    plain.payload = message;
    text_.format(plain, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<Formatter>(wanted_); }

 private:
  std::function<LogFormat()> wanted_;
  // The same on every platform, so that a line is a line.
  spdlog::pattern_formatter text_{"%Y-%m-%dT%H:%M:%S.%e%z %l %v", spdlog::pattern_time_type::local, "\n"};
};

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

Result<LogFormat> parse_log_format(std::string_view text) {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    if (name(format) == text) return format;
  }
  return fail(Code::invalid, "log format '" + std::string(text) + "': unknown", "use text or json");
}

std::string_view name(LogFormat format) { return format == LogFormat::json ? "json" : "text"; }

template <class Sink>
Log Log::over(std::shared_ptr<Sink> sink, const LogSettings& settings) {
  auto state = std::make_shared<State>(settings);
  auto logger = std::make_shared<spdlog::logger>("", std::move(sink));
  logger->set_level(spdlog::level::trace);  // State decides
  logger->set_formatter(std::make_unique<Formatter>([state] { return state->format.load(); }));
  logger->flush_on(spdlog::level::trace);
  return {std::move(state), std::move(logger)};
}

Result<Log> Log::to_file(const std::filesystem::path& file, const LogSettings& settings, Opened opened) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(file, ignored)) {
    return fail(Code::denied, "open log '" + utf8(file) + "': is a symbolic link", "remove '" + utf8(file) + "'");
  }
  spdlog::file_event_handlers handlers;
  if (opened) {
    handlers.after_open = [opened = std::move(opened)](const spdlog::filename_t&, std::FILE* begun) { opened(begun); };
  }
  try {
    return over(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
                    file.native(), static_cast<std::size_t>(count(settings.max_size)),
                    static_cast<std::size_t>(settings.keep), /*rotate_on_open=*/false, handlers),
                settings);
  } catch (const spdlog::spdlog_ex& e) {
    return fail(Code::io, "open log '" + utf8(file) + "': " + e.what());
  }
}

Log Log::to_stderr(const LogSettings& settings) {
  return over(std::make_shared<spdlog::sinks::stderr_sink_mt>(), settings);
}

Log Log::silent() { return over(std::make_shared<spdlog::sinks::null_sink_mt>(), {.level = LogLevel::error}); }

Log Log::about(const std::string& vm) const { return {state_, logger_->clone(vm)}; }

void Log::write(LogLevel level, std::string_view message) const {
  if (level >= state_->level.load())
    logger_->log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

LogLevel Log::level() const { return state_->level.load(); }

LogSettings Log::settings() const {
  LogSettings settings = state_->rest;
  settings.level = state_->level.load();
  settings.format = state_->format.load();
  return settings;
}

void Log::set_level(LogLevel level) const { state_->level.store(level); }
void Log::set_format(LogFormat format) const { state_->format.store(format); }

}  // namespace bulkhead
