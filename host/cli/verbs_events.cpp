#include <algorithm>
#include <iostream>
#include <thread>

#include "base/ids.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"
#include "cli/watch.hpp"
#include "cli/yaml.hpp"

namespace bulkhead::cli {

namespace {

constexpr milliseconds forever{365LL * 24 * 3600 * 1000};
// How long a stream is listened to before the VMs are looked at again: what an event does not tell is seen then.
constexpr milliseconds one_stream{5'000};
constexpr milliseconds between_streams{100};
constexpr milliseconds daemon_away{5'000};

// Each as soon as it comes: a line, a JSON document in a line, or a YAML document.
bool print_event(const Common& common, const Json& event) {
  switch (common.format) {
    case Format::table: std::cout << render_event(event, common.style); break;
    case Format::json: std::cout << json_line(event); break;
    case Format::yaml: std::cout << "---\n" << to_yaml(event); break;
  }
  return flushed();
}

api::Request events_request(std::optional<std::uint64_t> after, const std::string& vm) {
  api::Request request{.method = "GET", .path = "/v1/events"};
  if (after) request.query["after"] = std::to_string(*after);
  if (!vm.empty()) request.query["vm"] = vm;
  return request;
}

// At the list; the newest event from before it: nothing that happens in between is missed.
Result<std::uint64_t> look(const Link& link, Watch& watch, Deadline deadline) {
  api::Request request = events_request(std::nullopt, "");
  request.query["limit"] = "1";
  TRY(const Json answer, link.call(request, std::min(deadline, soon())));
  TRY(const Json list, link.call({.method = "GET", .path = "/v1/vms"}, std::min(deadline, soon())));
  watch.see_list(list);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(integer_or(answer, "last", 0), 0));
}

Result<int> follow_events(const Link& link, const Common& common, const EventOptions& options) {
  CHECKED(link.ensure_daemon());
  bool expected = false;
  bool written = true;
  const auto take = [&](const Json& event) {
    expected = string_or(event, "kind") == "host.stopping";
    return written = print_event(common, event);
  };
  auto done = link.stream(events_request(options.after, options.vm), take, Clock::now() + forever);
  if (!written) return 0;
  if (!done) return std::unexpected(done.error());
  if (!expected) tell("bulkhead: bulkheadd went away\n");
  return expected ? 0 : 1;
}

}  // namespace

Result<int> events(const Link& link, const Common& common, const EventOptions& options) {
  if (!options.vm.empty()) CHECKED(vm_path(options.vm));
  if (on(options.follow)) return follow_events(link, common, options);
  TRY(const Json answer, link.ask(events_request(options.after, options.vm), soon()));
  std::string text;
  for (const Json& event : list_at(answer, "events")) text += render_event(event, common.style);
  show(common, answer, text);
  if (on(flag_or(answer, "gap", Flag::off)) && common.format == Format::table) {
    tell("bulkhead: some events before these are not kept any more\n");
  }
  return 0;
}

Result<int> wait_for(const Link& link, const Common& common, const std::vector<std::string>& names,
                     const std::string& state) {
  std::vector<std::string> vms;
  for (const std::string& name : names) {
    TRY(const VmName parsed, VmName::parse(name));
    vms.push_back(parsed.str());
  }
  Watch watch(vms, state);
  const Deadline deadline = Clock::now() + common.timeout.value_or(forever);
  if (auto there = link.ensure_daemon(deadline); !there && Clock::now() < deadline)
    return std::unexpected(there.error());
  Clock::time_point seen = Clock::now();
  std::optional<std::uint64_t> last;  // that was seen; the next stream goes on from it
  for (;;) {
    const auto newest = look(link, watch, deadline);
    if (watch.over() || Clock::now() >= deadline) break;
    if (!newest) {
      if (!no_daemon(newest.error())) return std::unexpected(newest.error());
      // It may be replaced by another one; somebody who stopped it does not want it back.
      if (Clock::now() >= seen + daemon_away)
        return std::unexpected(within("wait: bulkheadd went away", newest.error()));
      std::this_thread::sleep_for(between_streams);
      continue;
    }
    seen = Clock::now();
    last = std::min(last.value_or(*newest), *newest);
    const auto take = [&watch, &last](const Json& event) {
      last = std::max(*last, static_cast<std::uint64_t>(std::max<std::int64_t>(integer_or(event, "id", 0), 0)));
      watch.see_event(event);
      return !watch.over();
    };
    auto streamed = link.stream(events_request(last, ""), take, std::min(deadline, Clock::now() + one_stream));
    if (!streamed && streamed.error().code != Code::timed_out && !no_daemon(streamed.error())) {
      return std::unexpected(streamed.error());
    }
    if (watch.over()) break;
    std::this_thread::sleep_for(between_streams);
  }
  Json results = Json::array();
  std::optional<Error> failed;
  int worst = 0;
  const auto fails = [&](const std::string& vm, const Error& error) {
    worst = std::max(worst, exit_code(error.code));
    failed = error;
    results.push_back({{"vm", vm}, {"error", to_json(error)}});
    if (vms.size() > 1 && common.format == Format::table) tell(render_error(error));
  };
  for (const auto& [vm, error] : watch.ends()) {
    if (error) {
      fails(vm, *error);
      continue;
    }
    results.push_back({{"vm", vm}, {"is", state}});
    show_part(common, "'" + vm + "' is " + state + "\n");
  }
  for (const std::string& vm : watch.open()) {
    fails(vm, {.code = Code::timed_out, .what = "wait until '" + vm + "' is " + state + ": not within the time given"});
  }
  if (names.size() == 1 && failed) return std::unexpected(*failed);
  if (common.format != Format::table) show(common, names.size() == 1 ? results.front() : results, "");
  return worst;
}

}  // namespace bulkhead::cli
