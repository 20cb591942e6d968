#include "cli/verbs.hpp"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <utility>

#include "base/ids.hpp"
#include "cli/print.hpp"
#include "cli/terminal.hpp"
#include "os/file.hpp"
#include "os/process.hpp"

namespace bulkhead::cli {

namespace {

constexpr milliseconds quick{10'000};
constexpr milliseconds start_time{120'000};
// A stop ends by its own deadlines; this only bounds the waiting for a daemon that says nothing.
constexpr milliseconds stop_time{3'600'000};
constexpr milliseconds answer_slack{30'000};
constexpr std::size_t shown_log_bytes = 1U << 20;

Deadline after(milliseconds time) { return Clock::now() + time; }

void show(const Common& common, const Json& json, const std::string& text) {
  std::cout << (common.format == Format::json ? dump_pretty(json) + "\n" : text) << std::flush;
}

Result<std::string> vm_path(const std::string& name) {
  TRY(const VmName parsed, VmName::parse(name));
  return "/v1/vms/" + parsed.str();
}

Result<Json> call(const Link& link, api::Request request, Deadline deadline) {
  CHECKED(link.ensure_daemon());
  return link.call(std::move(request), deadline);
}

Result<Json> vm_info(const Link& link, const std::string& name) {
  TRY(std::string path, vm_path(name));
  return call(link, {.method = "GET", .path = std::move(path)}, after(quick));
}

// Asks for an operation and waits for its end. Nothing: it was not done in that time, and goes on.
Result<std::optional<Json>> operate(const Link& link, api::Request request, milliseconds time) {
  const milliseconds longest_wait{3'600'000};
  request.query["wait"] = std::to_string(std::clamp(time, milliseconds{1}, longest_wait).count()) + "ms";
  TRY(Json operation, call(link, std::move(request), after(time + answer_slack)));
  if (string_or(operation, "state") == "running") return std::nullopt;
  return std::move(operation["result"]);
}

// The client's own time was up: what was asked goes on.
Error waiting_ended(const std::string& what) {
  return {.code = Code::timed_out,
          .what = what + ": not done within the time given; it goes on",
          .hint = "see: bulkhead list"};
}

Result<std::string> read_document(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::error_code error;
  const auto path = std::filesystem::canonical(file, error);
  if (error) return fail(Code::not_found, "read '" + file + "': " + error.message());
  return os::read_file(path);
}

}  // namespace

Result<int> create(const Link& link, const Common& common, const std::string& file) {
  TRY(const std::string text, read_document(file));
  auto document = parse_json(text, file);
  if (!document) return std::unexpected(document.error());
  if (!document->is_object()) return fail(Code::invalid, "read '" + file + "': not a JSON object");
  std::error_code error;
  auto folder =
      file == "-" ? std::filesystem::current_path(error) : std::filesystem::canonical(file, error).parent_path();
  if (error) return fail(Code::io, "find the folder of '" + file + "': " + error.message());
  Json body{{"spec", *std::move(document)}, {"folder", folder.string()}};
  TRY(const Json vm, call(link, {.method = "POST", .path = "/v1/vms", .body = std::move(body)}, after(quick)));
  show(common, vm, "created '" + string_or(vm, "name") + "'\n");
  return 0;
}

Result<int> start(const Link& link, const Common& common, const std::string& name) {
  TRY(std::string path, vm_path(name));
  const milliseconds time = common.timeout.value_or(start_time);
  Json body{{"timeout_ms", time.count()}};
  // A start that is late is undone by the daemon before it answers, which takes a little longer.
  TRY(const std::optional<Json> done,
      operate(link, {.method = "POST", .path = path + "/start", .body = std::move(body)}, time + answer_slack));
  if (!done) return std::unexpected(waiting_ended("start '" + name + "'"));
  const Json& vm = *done;
  std::string text = "'" + name + "' is " + string_or(vm, "state") + "\n";
  for (const Json& warning : vm.value("warnings", Json::array())) text += "  " + warning.get<std::string>() + "\n";
  show(common, vm, text);
  return 0;
}

Result<int> stop(const Link& link, const Common& common, const std::string& name, const StopOptions& options) {
  TRY(std::string path, vm_path(name));
  Json body{{"force", on(options.force)}};
  if (options.grace) body["grace_ms"] = options.grace->count();
  if (on(options.dry_run)) {
    api::Request request{.method = "GET", .path = path + "/stop-plan"};
    if (on(options.force)) request.query["force"] = "true";
    if (options.grace) request.query["grace_ms"] = std::to_string(options.grace->count());
    TRY(const Json plan, call(link, std::move(request), after(quick)));
    show(common, plan, render_plan(plan));
    return 0;
  }
  TRY(const std::optional<Json> report,
      operate(link, {.method = "POST", .path = path + "/stop", .body = std::move(body)},
              common.timeout.value_or(stop_time)));
  if (!report) return std::unexpected(waiting_ended("stop '" + name + "'"));
  show(common, *report, render_stop(*report));
  return string_or(*report, "outcome") == "stopped" ? 0 : 1;
}

Result<int> list(const Link& link, const Common& common) {
  TRY(const Json vms, call(link, {.method = "GET", .path = "/v1/vms"}, after(quick)));
  show(common, vms, render_list(vms));
  return 0;
}

Result<int> info(const Link& link, const Common& common, const std::string& name) {
  TRY(const Json vm, vm_info(link, name));
  show(common, vm, render_info(vm));
  return 0;
}

Result<int> remove(const Link& link, const Common& common, const std::string& name, Flag force) {
  TRY(std::string path, vm_path(name));
  api::Request request{.method = "DELETE", .path = path};
  if (on(force)) request.query["force"] = "true";
  TRY(const std::optional<Json> removed, operate(link, std::move(request), common.timeout.value_or(stop_time)));
  if (!removed) return std::unexpected(waiting_ended("remove '" + name + "'"));
  show(common, *removed, "removed '" + name + "'\n");
  return 0;
}

Result<int> logs(const Link& link, const Common& common, const std::string& name, const std::string& source) {
  TRY(const Json vm, vm_info(link, name));
  const bool plain =
      std::ranges::all_of(source, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  const auto file = std::filesystem::path(string_or(vm, "directory")) / (source + ".log");
  if (source.empty() || !plain) return fail(Code::invalid, "read log '" + source + "': not the name of a log");
  auto text = os::read_tail(file, shown_log_bytes);
  if (!text) {
    if (text.error().code != Code::not_found) return std::unexpected(text.error());
    return fail(Code::not_found, "read log '" + source + "' of '" + name + "': there is none",
                "logs are: console, agent, and those of the driver, in " + string_or(vm, "directory"));
  }
  Json json{{"vm", name}, {"source", source}, {"file", file.string()}, {"text", *text}};
  show(common, json, *text);
  return 0;
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

Result<int> driver_list(const Link& link, const Common& common) {
  TRY(const Json drivers, call(link, {.method = "GET", .path = "/v1/drivers"}, after(quick)));
  show(common, drivers, render_drivers(drivers));
  return 0;
}

Result<int> doctor(const Link& link, const Common& common) {
  TRY(const Json host, call(link, {.method = "GET", .path = "/v1/host"}, after(quick)));
  TRY(const Json drivers, call(link, {.method = "GET", .path = "/v1/drivers"}, after(quick)));
  show(common, Json{{"host", host}, {"drivers", drivers}}, render_doctor(host, drivers));
  const Json broken = drivers.value("broken", Json::array());
  return broken.empty() ? 0 : 1;
}

Result<int> host_start(const Link& link, const Common& common) {
  CHECKED(link.ensure_daemon());
  return host_status(link, common);
}

Result<int> host_stop(const Link& link, const Common& common, Flag keep_vms) {
  auto host = link.call({.method = "GET", .path = "/v1/host"}, after(quick));
  if (!host) {
    if (host.error().code != Code::not_found && host.error().code != Code::unavailable)
      return std::unexpected(host.error());
    show(common, Json{{"running", false}}, "bulkheadd does not run\n");
    return 0;
  }
  const auto daemon = os::Process::open_pid(integer_or(*host, "pid", 0));
  const milliseconds time = common.timeout.value_or(milliseconds{120'000});
  const Deadline deadline = after(time + answer_slack);
  Json body{{"keep_vms", on(keep_vms)}, {"timeout_ms", time.count()}};
  auto stopped = link.call({.method = "POST", .path = "/v1/host/stop", .body = std::move(body)}, deadline);
  if (!stopped && stopped.error().code == Code::timed_out) return std::unexpected(waiting_ended("stop bulkheadd"));
  if (!stopped) return std::unexpected(stopped.error());
  if (daemon && !daemon->wait(deadline)) return fail(Code::timed_out, "stop bulkheadd: it has not exited in time");
  const auto left = integer_or(*stopped, "not_stopped", 0);
  const auto kept = integer_or(*stopped, "kept", 0);
  std::string text = "bulkheadd stopped\n";
  if (kept > 0) text += std::to_string(kept) + " VMs go on\n";
  if (left > 0) text += std::to_string(left) + " VMs could not be stopped\n";
  show(common, *stopped, text);
  return left == 0 ? 0 : 1;
}

Result<int> host_status(const Link& link, const Common& common) {
  auto host = link.call({.method = "GET", .path = "/v1/host"}, after(quick));
  if (!host) {
    if (host.error().code != Code::not_found && host.error().code != Code::unavailable)
      return std::unexpected(host.error());
    show(common, Json{{"running", false}}, "bulkheadd does not run\n");
    return 1;
  }
  (*host)["daemon"] = "running";
  show(common, *host, render_host(*host));
  return 0;
}

}  // namespace bulkhead::cli
