#include "store/host_config.hpp"

#include <algorithm>

#include "base/utf8_path.hpp"
#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::store;
using namespace std::chrono_literals;
using Pointers = std::vector<std::string>;

namespace {

const std::filesystem::path home = std::filesystem::temp_directory_path() / "home";

Pointers pointers(const Json& document) {
  Pointers found;
  for (const Problem& problem : check_host_config(document)) found.push_back(problem.pointer);
  std::ranges::sort(found);
  return found;
}

Json with(const char* pointer, Json value) {
  Json document{{"version", 1}};
  document[Json::json_pointer(pointer)] = std::move(value);
  return document;
}

}  // namespace

TEST_CASE("without a host.json, and with an empty one, all is as by default") {
  for (const std::optional<std::string>& text :
       {std::optional<std::string>{}, std::optional<std::string>{R"({"version": 1})"}}) {
    const HostConfig config = read_host_config(text, home).value();
    CHECK(config.log == LogSettings{});
    CHECK(config.log.level == LogLevel::info);
    CHECK(config.log.format == LogFormat::text);
    CHECK(count(config.log.max_size) == 16U << 20);
    CHECK(config.log.keep == 3);
    CHECK(config.containment == "strongest");
    CHECK(config.driver_folders.empty());
    CHECK_FALSE(config.idle_exit.has_value());
    CHECK(config.stop_timeout == milliseconds{120s});
    CHECK_FALSE(config.allow_service_wide_recovery);
    CHECK(differences(config, {}).empty());
  }
}

TEST_CASE("a host.json says all of it, and its folders are relative to the home") {
  const Json document{{"$schema", "host.schema.json"},
                      {"version", 1},
                      {"log", {{"level", "debug"}, {"format", "json"}, {"max_size", "1MiB"}, {"keep", 0}}},
                      {"containment", "pid-namespace"},
                      {"driver_folders", {"mine", utf8(home.root_path() / "theirs")}},
                      {"idle_exit", "10m"},
                      {"stop_timeout", "30s"},
                      {"allow_service_wide_recovery", true}};
  const HostConfig config = read_host_config(dump(document), home).value();
  CHECK(config.log == LogSettings{LogLevel::debug, LogFormat::json, Bytes{1 << 20}, 0});
  CHECK(config.containment == "pid-namespace");
  CHECK(config.driver_folders == std::vector<std::filesystem::path>{home / "mine", home.root_path() / "theirs"});
  CHECK(config.idle_exit == milliseconds{10min});
  CHECK(config.stop_timeout == milliseconds{30s});
  CHECK(config.allow_service_wide_recovery);
  CHECK(differences(config, {}).size() == 9);
}

TEST_CASE("everything that is wrong with a host.json is told in one go") {
  const Json document{{"version", 2},
                      {"log", {{"level", "debgu"}, {"max_size", "1KiB"}, {"keep", -1}, {"colour", true}}},
                      {"containmnet", "cgroup"},
                      {"driver_folders", {"ok", 7}},
                      {"idle_exit", "10 minutes"},
                      {"stop_timeout", "25h"}};
  CHECK(pointers(document) == Pointers{"/containmnet", "/driver_folders/1", "/idle_exit", "/log/colour", "/log/keep",
                                       "/log/level", "/log/max_size", "/stop_timeout", "/version"});
  const auto refused = read_host_config(dump(document), home);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::invalid);
  CHECK(exit_code(refused.error().code) == 3);
  CHECK(refused.error().what.find("host.json': 9 problems") != std::string::npos);
  const auto problem = [&](std::string_view pointer) {
    return *std::ranges::find(refused.error().problems, pointer, &Problem::pointer);
  };
  CHECK(problem("/containmnet").hint == "did you mean 'containment'?");
  CHECK(problem("/log/level").hint == "did you mean \"debug\"?");
}

TEST_CASE("amounts that make no sense are refused, and those at the edge are not") {
  CHECK(pointers(with("/log/max_size", "65535B")) == Pointers{"/log/max_size"});
  CHECK(pointers(with("/log/max_size", "64KiB")).empty());
  CHECK(pointers(with("/log/max_size", "999999999999GiB")) == Pointers{"/log/max_size"});
  CHECK(pointers(with("/idle_exit", "999ms")) == Pointers{"/idle_exit"});
  CHECK(pointers(with("/idle_exit", "1s")).empty());
  CHECK(pointers(with("/idle_exit", "25h")) == Pointers{"/idle_exit"});
  CHECK(pointers(with("/stop_timeout", "never")) == Pointers{"/stop_timeout"});
  CHECK(pointers(with("/log/keep", 101)) == Pointers{"/log/keep"});
  CHECK(pointers(with("/driver_folders", Json::array({std::string("a\0b", 3)}))) == Pointers{"/driver_folders/0"});
}

TEST_CASE("what is no host.json at all is refused with its place") {
  CHECK(pointers(Json::array()) == Pointers{""});
  CHECK(pointers(Json::object()) == Pointers{""});
  const auto torn = read_host_config("{\"version\": 1,\n  \"log\": }", home);
  REQUIRE_FALSE(torn.has_value());
  CHECK(torn.error().code == Code::invalid);
  CHECK(torn.error().what.find("line 2, column 10") != std::string::npos);
  CHECK_FALSE(read_host_config(std::string(), home).has_value());
}
