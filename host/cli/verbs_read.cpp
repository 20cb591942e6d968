#include <algorithm>
#include <iostream>

#include "base/ids.hpp"
#include "cli/log_file.hpp"
#include "cli/print.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

namespace bulkhead::cli {

Result<std::string> vm_path(const std::string& name) {
  TRY(const VmName parsed, VmName::parse(name));
  return "/v1/vms/" + parsed.str();
}

Result<Json> vm_info(const Link& link, const std::string& name) {
  TRY(std::string path, vm_path(name));
  return link.ask({.method = "GET", .path = std::move(path)}, soon());
}

Result<int> list(const Link& link, const Common& common) {
  TRY(const Json vms, link.ask({.method = "GET", .path = "/v1/vms"}, soon()));
  show(common, vms, render_list(vms, common.style));
  return 0;
}

Result<int> info(const Link& link, const Common& common, const std::string& name) {
  TRY(const Json vm, vm_info(link, name));
  show(common, vm, render_info(vm, common.style));
  return 0;
}

namespace {

// A guest's words cannot control the terminal that they are shown on; elsewhere they are as they were said.
bool print_log(std::string_view text) {
  if (is_terminal(Standard::out)) {
    std::cout << safe_lines(text);
  } else {
    std::cout << text;
  }
  return flushed();
}

Result<int> show_log(const Common& common, const std::filesystem::path& file, const LogOptions& options, Json about) {
  if (on(options.follow)) {
    const auto goes_on = [&file] { return std::filesystem::exists(file.parent_path()); };
    std::string begun;  // of a letter that is not whole yet
    const auto print = [&begun](std::string_view text) {
      begun += text;
      const std::size_t whole = whole_characters(begun);
      const bool good = print_log(begun.substr(0, whole));
      begun.erase(0, whole);
      return good;
    };
    CHECKED(follow_log(file, options.tail, print, goes_on));
    return 0;
  }
  TRY(const std::string text, log_tail(file, options.tail));
  about["file"] = file.string();
  about["text"] = text;
  std::error_code unknown;
  if (!options.tail && std::filesystem::file_size(file, unknown) > text.size() && !unknown) {
    tell("bulkhead: only its end is shown; all of it is in '" + safe(file.string()) + "'\n");
  }
  if (common.format == Format::table) {
    print_log(text);
  } else {
    show(common, about, "");
  }
  return 0;
}

}  // namespace

Result<int> logs(const Link& link, const Common& common, const std::string& name, const LogOptions& options) {
  TRY(const Json vm, vm_info(link, name));
  const std::string& source = options.source;
  const bool plain =
      std::ranges::all_of(source, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (source.empty() || !plain) return fail(Code::invalid, "read log '" + source + "': not the name of a log");
  const auto file = std::filesystem::path(string_or(vm, "directory")) / (source + ".log");
  auto shown = show_log(common, file, options, Json{{"vm", name}, {"source", source}});
  if (shown || shown.error().code != Code::not_found) return shown;
  return fail(Code::not_found, "read log '" + source + "' of '" + name + "': there is none",
              "logs are: console, agent, and those of the driver, in " + string_or(vm, "directory"));
}

Result<int> host_logs(const Link& link, const Common& common, const LogOptions& options) {
  const auto file = link.home() / "bulkheadd.log";
  auto shown = show_log(common, file, options, Json::object());
  if (shown || shown.error().code != Code::not_found) return shown;
  return fail(Code::not_found, "read '" + file.string() + "': there is none: bulkheadd never ran with this home");
}

Result<int> console(const Link& link, const Common&, const std::string& name) {
  TRY(const Json vm, vm_info(link, name));
  const Json run = object_at(vm, "run").value_or(Json::object());
  const Json said = object_at(run, "driver_says").value_or(Json::object());
  const Json where = object_at(said, "console").value_or(Json::object());
  const std::string socket = string_or(where, "socket");
  if (string_or(vm, "state") != "running" || socket.empty()) {
    return fail(Code::unavailable, "open the console of '" + name + "': " +
                                       (socket.empty() && !run.empty() ? "it has none" : "the VM does not run"));
  }
  CHECKED(connect_terminal(socket));
  return 0;
}

}  // namespace bulkhead::cli
