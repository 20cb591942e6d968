#include "daemon/settings.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace std::chrono_literals;
using daemon::Settings;
using daemon::Wishes;
using store::HostConfig;
using Pointers = std::vector<std::string>;

namespace {

HostConfig file_with(LogLevel level) {
  HostConfig file;
  file.log.level = level;
  return file;
}

LogLevel level_in_force(const Wishes& wishes, LogLevel of_file) {
  return Settings::of(wishes, file_with(of_file)).value().now().log.level;
}

}  // namespace

TEST_CASE("the log level of the command line goes before the environment's, and that before the file's") {
  CHECK(level_in_force({.log_level = "debug", .log_level_of_environment = "error"}, LogLevel::warning) ==
        LogLevel::debug);
  CHECK(level_in_force({.log_level_of_environment = "error"}, LogLevel::warning) == LogLevel::error);
  CHECK(level_in_force({}, LogLevel::warning) == LogLevel::warning);
  CHECK(level_in_force({.log_level = "debug", .log_level_of_environment = "nonsense"}, LogLevel::info) ==
        LogLevel::debug);
  for (const Wishes& wishes : {Wishes{.log_level = "loud"}, Wishes{.log_level_of_environment = "loud"}}) {
    const auto refused = Settings::of(wishes, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Code::invalid);
  }
}

TEST_CASE("the other wishes go before the file too, also a wish for never") {
  HostConfig file;
  file.containment = "cgroup";
  file.idle_exit = 10min;
  CHECK(Settings::of({}, file).value().now().containment == "cgroup");
  CHECK(Settings::of({.containment = "strongest"}, file).value().now().containment == "strongest");
  CHECK(Settings::of({}, file).value().now().idle_exit == milliseconds{10min});
  CHECK(Settings::of({.idle_exit = "5s"}, file).value().now().idle_exit == milliseconds{5s});
  CHECK_FALSE(Settings::of({.idle_exit = "never"}, file).value().now().idle_exit.has_value());
  CHECK_FALSE(Settings::of({.idle_exit = "soon"}, file).has_value());
}

TEST_CASE("what can change at once does, and what cannot is named and stays") {
  Settings settings = Settings::of({}, {}).value();
  HostConfig file;
  file.log = {.level = LogLevel::debug, .format = LogFormat::json, .max_size = Bytes{1 << 20}, .keep = 1};
  file.idle_exit = 10min;
  file.stop_timeout = 5s;
  file.containment = "process-group";
  file.driver_folders = {"/d"};
  file.allow_service_wide_recovery = true;
  const auto change = settings.reload(file);
  CHECK(change.applied == Pointers{"/log/level", "/log/format", "/idle_exit", "/stop_timeout"});
  CHECK(change.needs_restart ==
        Pointers{"/log/max_size", "/log/keep", "/containment", "/driver_folders", "/allow_service_wide_recovery"});
  CHECK(change.overridden.empty());
  const HostConfig& now = settings.now();
  CHECK(now.log.level == LogLevel::debug);
  CHECK(now.log.format == LogFormat::json);
  CHECK(now.idle_exit == milliseconds{10min});
  CHECK(now.stop_timeout == milliseconds{5s});
  CHECK(now.log.max_size == LogSettings{}.max_size);
  CHECK(now.log.keep == 3);
  CHECK(now.containment == "strongest");
  CHECK(now.driver_folders.empty());
  CHECK_FALSE(now.allow_service_wide_recovery);
}

TEST_CASE("a file that is read twice changes nothing more, and what needs a restart goes on needing it") {
  Settings settings = Settings::of({}, {}).value();
  HostConfig file = file_with(LogLevel::error);
  file.containment = "cgroup";
  settings.reload(file);
  const auto again = settings.reload(file);
  CHECK(again.applied.empty());
  CHECK(again.needs_restart == Pointers{"/containment"});
  const auto back = settings.reload({});
  CHECK(back.applied == Pointers{"/log/level"});
  CHECK(back.needs_restart.empty());
  CHECK(settings.now().log.level == LogLevel::info);
}

TEST_CASE("a file cannot change what the command line has said, and is told so") {
  Settings settings = Settings::of({.log_level = "warning", .containment = "cgroup", .idle_exit = "never"}, {}).value();
  HostConfig file = file_with(LogLevel::debug);
  file.containment = "process-group";
  file.idle_exit = 1min;
  const auto change = settings.reload(file);
  CHECK(change.applied.empty());
  CHECK(change.needs_restart.empty());
  CHECK(change.overridden == Pointers{"/log/level", "/containment", "/idle_exit"});
  CHECK(settings.now().log.level == LogLevel::warning);
  CHECK_FALSE(settings.now().idle_exit.has_value());
  CHECK(to_json(change) == Json{{"applied", Json::array()},
                                {"needs_restart", Json::array()},
                                {"overridden", {"/log/level", "/containment", "/idle_exit"}}});
}
