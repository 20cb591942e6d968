#include "store/host_config.hpp"

#include <algorithm>

#include "base/schema.hpp"
#include "base/utf8_path.hpp"

namespace bulkhead::store {

namespace {

constexpr char schema_text[] =
#include "host_schema.inc"
    ;
constexpr Bytes smallest_log{64ULL << 10};
constexpr milliseconds shortest_idle{1'000};

const Schema& host_schema() {
  // Our own text: that it compiles is shown by every test that reads a host.json.
  static const Schema schema = *Schema::compile(Json::parse(schema_text), "host.schema.json");
  return schema;
}

void add(std::vector<Problem>& problems, std::string pointer, const Error& error) {
  problems.push_back({std::move(pointer), error.what, error.hint});
}

// The schema knows how these are written, not how large they may be.
void check_amounts(const Json& document, std::vector<Problem>& problems) {
  const auto is_new = [&](std::string_view pointer) {
    return std::ranges::none_of(problems, [&](const Problem& p) { return p.pointer == pointer; });
  };
  const Json log = object_at(document, "log").value_or(Json::object());
  if (const auto size = string_at(log, "max_size"); size && is_new("/log/max_size")) {
    const auto bytes = parse_bytes(*size);
    if (!bytes) {
      add(problems, "/log/max_size", bytes.error());
    } else if (*bytes < smallest_log) {
      problems.push_back({"/log/max_size", "'" + *size + "' is less than 64KiB", "write it like \"16MiB\""});
    }
  }
  if (const auto idle = string_at(document, "idle_exit"); idle && is_new("/idle_exit")) {
    if (const auto limit = parse_idle_exit(*idle); !limit) add(problems, "/idle_exit", limit.error());
  }
  if (const auto stop = string_at(document, "stop_timeout"); stop && is_new("/stop_timeout")) {
    if (const auto limit = parse_duration(*stop); !limit) add(problems, "/stop_timeout", limit.error());
  }
}

// A NUL would cut the path short.
void check_folders(const Json& document, std::vector<Problem>& problems) {
  const auto folders = document.find("driver_folders");
  if (folders == document.end() || !folders->is_array()) return;
  for (std::size_t i = 0; i < folders->size(); ++i) {
    const Json& folder = (*folders)[i];
    if (!folder.is_string() || folder.get_ref<const std::string&>().find('\0') == std::string::npos) continue;
    problems.push_back({"/driver_folders/" + std::to_string(i), "contains a NUL character", {}});
  }
}

}  // namespace

Result<std::optional<milliseconds>> parse_idle_exit(std::string_view text) {
  if (text == "never") return std::nullopt;
  TRY(const milliseconds limit, parse_duration(text));
  if (limit < shortest_idle) {
    return fail(Code::invalid, "duration '" + std::string(text) + "': is shorter than 1 second",
                "write it like \"10m\"");
  }
  return limit;
}

std::vector<Problem> check_host_config(const Json& document) {
  std::vector<Problem> problems = host_schema().check(document);
  if (!document.is_object()) return problems;
  check_amounts(document, problems);
  check_folders(document, problems);
  return problems;
}

Result<HostConfig> parse_host_config(const Json& document, const std::filesystem::path& home) {
  if (auto problems = check_host_config(document); !problems.empty()) {
    const std::string count = problems.size() == 1 ? "1 problem" : std::to_string(problems.size()) + " problems";
    return std::unexpected(Error{.code = Code::invalid,
                                 .what = "check '" + utf8(home / "host.json") + "': " + count,
                                 .problems = std::move(problems)});
  }
  HostConfig config;
  const Json log = object_at(document, "log").value_or(Json::object());
  TRY(config.log.level, parse_log_level(string_or(log, "level", name(config.log.level))));
  TRY(config.log.format, parse_log_format(string_or(log, "format", name(config.log.format))));
  if (log.contains("max_size")) {
    TRY(config.log.max_size, parse_bytes(string_or(log, "max_size")));
  }
  config.log.keep = static_cast<int>(integer_or(log, "keep", config.log.keep));
  config.containment = string_or(document, "containment", config.containment);
  for (const Json& folder : document.value("driver_folders", Json::array())) {
    config.driver_folders.push_back((home / path_from_utf8(folder.get<std::string>())).lexically_normal());
  }
  TRY(config.idle_exit, parse_idle_exit(string_or(document, "idle_exit", "never")));
  if (document.contains("stop_timeout")) {
    TRY(config.stop_timeout, parse_duration(string_or(document, "stop_timeout")));
  }
  config.allow_service_wide_recovery = on(flag_or(document, "allow_service_wide_recovery", Flag::off));
  return config;
}

Result<HostConfig> read_host_config(const std::optional<std::string>& text, const std::filesystem::path& home) {
  if (!text) return HostConfig{};
  TRY(const Json document, parse_json(*text, utf8(home / "host.json")));
  return parse_host_config(document, home);
}

std::vector<std::string> differences(const HostConfig& a, const HostConfig& b) {
  std::vector<std::string> pointers;
  const auto compare = [&](const char* pointer, const auto& left, const auto& right) {
    if (left != right) pointers.emplace_back(pointer);
  };
  compare("/log/level", a.log.level, b.log.level);
  compare("/log/format", a.log.format, b.log.format);
  compare("/log/max_size", a.log.max_size, b.log.max_size);
  compare("/log/keep", a.log.keep, b.log.keep);
  compare("/containment", a.containment, b.containment);
  compare("/driver_folders", a.driver_folders, b.driver_folders);
  compare("/idle_exit", a.idle_exit, b.idle_exit);
  compare("/stop_timeout", a.stop_timeout, b.stop_timeout);
  compare("/allow_service_wide_recovery", a.allow_service_wide_recovery, b.allow_service_wide_recovery);
  return pointers;
}

}  // namespace bulkhead::store
