#include <algorithm>
#include <array>
#include <cerrno>
#include <future>
#include <iostream>
#include <unistd.h>
#include <utility>

#include "base/ids.hpp"
#include "cli/checkup.hpp"
#include "cli/print.hpp"
#include "cli/progress_line.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"
#include "os/last_error.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"

namespace bulkhead::cli {

namespace {

constexpr milliseconds answer_slack{30'000};
// A host stop ends by the daemon's own limit; this only bounds the waiting for a daemon that says nothing.
constexpr milliseconds host_stop_time{3'600'000};
constexpr milliseconds repair_time{120'000};

Result<int> not_running(const Common& common, int code) {
  show(common, Json{{"daemon", "stopped"}, {"running", false}}, "bulkheadd does not run\n");
  return code;
}

// How far a stop of all VMs is, as a progress line wants it.
Json stop_progress(const Link& link, Clock::time_point began) {
  const auto vms = link.call({.method = "GET", .path = "/v1/vms"}, Clock::now() + milliseconds{2'000});
  std::int64_t left = 0;
  if (vms) {
    for (const Json& vm : list_at(*vms, "vms")) {
      const std::string state = string_or(vm, "state");
      if (state == "running" || state == "starting" || state == "stopping") ++left;
    }
  }
  const auto elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - began).count();
  return {{"kind", "stop"}, {"vm", std::to_string(left) + " VMs"}, {"state", "running"}, {"elapsed_ms", elapsed}};
}

// nothing: Ctrl-C.
std::optional<Result<Json>> call_with_progress(const Link& link, const Common& common, api::Request request,
                                               Deadline deadline) {
  const auto began = Clock::now();
  ProgressLine line(common);
  const Interrupts interrupts;
  auto answer = std::async(std::launch::async,
                           [&link, request = std::move(request), deadline] { return link.call(request, deadline); });
  while (answer.wait_for(milliseconds{500}) != std::future_status::ready) {
    if (interrupts.count() > 0) {
      line.clear();
      tell("bulkhead: the stop goes on; see: bulkhead host status\n");
      if (common.format != Format::table) {
        show_error(common, {.code = Code::cancelled, .what = "stop bulkheadd: no longer waited for; it goes on"});
      }
      // The thread waits for an answer that nobody wants any more.
      std::cout.flush();
      std::_Exit(exit_interrupted);
    }
    line.show({stop_progress(link, began)});
  }
  return answer.get();
}

}  // namespace

Result<int> driver_list(const Link& link, const Common& common) {
  TRY(const Json drivers, link.ask({.method = "GET", .path = "/v1/drivers"}, soon()));
  show(common, drivers, render_drivers(drivers, common.style));
  return 0;
}

Result<int> doctor(const Link& link, const Common& common) {
  const Symptoms symptoms = check_up(link, Daemon::start);
  const std::vector<Finding> findings = diagnose(symptoms);
  const bool good = healthy(findings);
  show(common,
       Json{{"healthy", good}, {"findings", to_json(findings)}, {"host", symptoms.host}, {"drivers", symptoms.drivers}},
       render_findings(findings, common.style));
  return good ? 0 : 1;
}

Result<int> repair(const Link& link, const Common& common, Flag dry_run) {
  api::Request request{.method = "POST", .path = "/v1/host/repair"};
  request.body = {{"dry_run", on(dry_run)}};
  TRY(const Json result, link.ask(request, Clock::now() + common.timeout.value_or(repair_time)));
  show(common, result, render_repair(result, common.style));
  return on(dry_run) || integer_or(result, "left", 0) == 0 ? 0 : 1;
}

Result<int> host_start(const Link& link, const Common& common) {
  CHECKED(link.ensure_daemon());
  return host_status(link, common);
}

Result<int> host_stop(const Link& link, const Common& common, Flag keep_vms) {
  auto host = link.call({.method = "GET", .path = "/v1/host"}, soon());
  if (!host) {
    if (!no_daemon(host.error())) return std::unexpected(host.error());
    return not_running(common, 0);
  }
  const auto daemon = os::Process::open_pid(integer_or(*host, "pid", 0));
  api::Request request{.method = "POST", .path = "/v1/host/stop"};
  request.body["keep_vms"] = on(keep_vms);
  if (common.timeout) request.body["timeout_ms"] = common.timeout->count();
  const Deadline deadline = Clock::now() + common.timeout.value_or(host_stop_time) + answer_slack;
  auto stopped = call_with_progress(link, common, std::move(request), deadline);
  if (!*stopped) return std::unexpected(stopped->error());
  if (daemon && !daemon->wait(deadline)) return fail(Code::timed_out, "stop bulkheadd: it has not exited in time");
  const Json result = **stopped;
  const auto left = integer_or(result, "not_stopped", 0);
  const auto kept = integer_or(result, "kept", 0);
  std::string text = "bulkheadd stopped\n";
  if (kept > 0) text += std::to_string(kept) + " VMs go on\n";
  if (left > 0) text += std::to_string(left) + " VMs could not be stopped\n";
  show(common, result, text);
  return left == 0 ? 0 : 1;
}

Result<int> host_status(const Link& link, const Common& common) {
  auto host = link.call({.method = "GET", .path = "/v1/host"}, soon());
  if (!host) {
    if (!no_daemon(host.error())) return std::unexpected(host.error());
    return not_running(common, 1);
  }
  (*host)["daemon"] = "running";
  show(common, *host, render_host(*host, common.style));
  return 0;
}

Result<int> host_run(const Link& link, const std::optional<std::string>& log_level) {
  TRY(const std::filesystem::path programs, os::program_directory());
  std::vector<std::string> words{(programs / "bulkheadd").string(), "--home", link.home().string(), "--log-to-stderr"};
  if (log_level) words.insert(words.end(), {"--log-level", *log_level});
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::cout.flush();
  ::execv(arguments.front(), arguments.data());
  return os::last_error("start '" + words.front() + "'");
}

Result<int> host_reload(const Link& link, const Common& common) {
  TRY(const Json changes, link.call({.method = "POST", .path = "/v1/host/reload"}, soon()));
  show(common, changes, render_reload(changes, common.style));
  return 0;
}

Result<int> print_names(const Link& link) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(link.home() / "vms", error), end; !error && it != end;
       it.increment(error)) {
    const auto name = VmName::parse(it->path().filename().string());
    if (name) names.push_back(name->str());
  }
  std::ranges::sort(names);
  for (const std::string& name : names) std::cout << name << "\n";
  std::cout << std::flush;
  return 0;
}

}  // namespace bulkhead::cli
