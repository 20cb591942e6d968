#include "base/log.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/json.hpp"
#include "os/born.hpp"

using namespace bulkhead;
using namespace bulkhead::support;

namespace {

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::istringstream text(read_text(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a record is one line of text, whatever is in it") {
  const TempDir folder;
  const Log log = Log::to_file(folder / "x.log", {}).value();
  log.warning("a\nb\x1b[2J\r\tc 50% {} \xff");
  log.about("dev").info("second");
  const auto lines = lines_of(folder / "x.log");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(" warning a\\nb[2J\tc 50% {} \xff"));
  CHECK(lines[1].ends_with(" info second"));
  CHECK(lines[1].starts_with("20"));
}

TEST_CASE("a record is one line of JSON, with the message as it was and the VM where it is known") {
  const TempDir folder;
  const Log log = Log::to_file(folder / "x.log", {.format = LogFormat::json}).value();
  log.warning("a\nb\x1b[2J\r\t\"c\" \\ {}");
  log.about("dev").error("bad \xff byte");
  const auto lines = lines_of(folder / "x.log");
  REQUIRE(lines.size() == 2);
  const Json first = Json::parse(lines[0]);
  CHECK(first.at("level") == "warning");
  CHECK(first.at("message") == "a\nb\x1b[2J\r\t\"c\" \\ {}");
  CHECK(first.at("time").get<std::string>().ends_with("Z"));
  CHECK(first.size() == 3);
  const Json second = Json::parse(lines[1]);
  CHECK(second.at("vm") == "dev");
  CHECK(second.at("level") == "error");
  CHECK(second.at("message") == "bad \xEF\xBF\xBD byte");
}

TEST_CASE("level and format change for all copies at once, also those about a VM") {
  const TempDir folder;
  const Log log = Log::to_file(folder / "x.log", {.level = LogLevel::warning}).value();
  const Log copy = log.about("dev");
  copy.info("not yet");
  log.set_level(LogLevel::debug);
  log.set_format(LogFormat::json);
  copy.debug("now");
  log.set_level(LogLevel::error);
  copy.warning("no more");
  const auto lines = lines_of(folder / "x.log");
  REQUIRE(lines.size() == 1);
  CHECK(Json::parse(lines[0]).at("message") == "now");
  CHECK(copy.level() == LogLevel::error);
  CHECK(copy.settings() == LogSettings{.level = LogLevel::error, .format = LogFormat::json});
}

TEST_CASE("a log never takes more than its files may, keeps the newest lines, and says when a file is begun") {
  const TempDir folder;
  const auto file = folder / "x.log";
  constexpr std::uint64_t size = 4096;
  const LogSettings settings{.max_size = Bytes{size}, .keep = 2};
  int begun = 0;
  {
    const Log log = Log::to_file(file, settings, [&](std::FILE*) { ++begun; }).value();
    for (int i = 0; i < 1000; ++i) log.info("line " + std::to_string(i) + " of a thousand");
  }
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename().string());
    CHECK(std::filesystem::file_size(entry) <= size);
  }
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"x.1.log", "x.2.log", "x.log"});
  CHECK(lines_of(file).back().ends_with("line 999 of a thousand"));
  CHECK(begun > 3);
  // Begun again, it goes on in the same file.
  const auto before = lines_of(file).size();
  Log::to_file(file, settings).value().info("x");
  CHECK(lines_of(file).size() == before + 1);
}

TEST_CASE("without older files a log begins anew") {
  const TempDir folder;
  const Log log = Log::to_file(folder / "x.log", {.max_size = Bytes{4096}, .keep = 0}).value();
  for (int i = 0; i < 200; ++i) log.info("line " + std::to_string(i) + " of two hundred");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  CHECK(std::filesystem::file_size(folder / "x.log") <= 4096);
  CHECK(lines_of(folder / "x.log").back().ends_with("line 199 of two hundred"));
}

TEST_CASE("a symbolic link is no log, also when it points to one") {
  const TempDir folder;
  write_text(folder / "target", "");
  std::filesystem::create_symlink(folder / "target", folder / "x.log");
  const auto log = Log::to_file(folder / "x.log", {});
  REQUIRE_FALSE(log.has_value());
  CHECK(log.error().code == Code::denied);
  CHECK(read_text(folder / "target").empty());
}
