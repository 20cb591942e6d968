#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/ids.hpp"
#include "cli/operation.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"

namespace bulkhead::cli {

namespace {

// A start that is late is undone by the daemon before it answers, which takes a little longer.
constexpr milliseconds undo_time{30'000};

struct Chosen {
  std::vector<std::string> vms;
  bool one = false;  // it was named, and is alone: then the result is its own, and not one of a list
};

// All: those of the states for which it makes sense.
Result<Chosen> choose(const Link& link, const Names& names, const std::set<std::string>& states) {
  Chosen chosen;
  if (on(names.all)) {
    TRY(const Json answer, link.ask({.method = "GET", .path = "/v1/vms"}, soon()));
    for (const Json& vm : list_at(answer, "vms")) {
      if (states.empty() || states.contains(string_or(vm, "state"))) chosen.vms.push_back(string_or(vm, "name"));
    }
    return chosen;
  }
  for (const std::string& name : names.names) {
    TRY(const VmName parsed, VmName::parse(name));
    if (std::ranges::find(chosen.vms, parsed.str()) == chosen.vms.end()) chosen.vms.push_back(parsed.str());
  }
  chosen.one = chosen.vms.size() == 1;
  CHECKED(link.ensure_daemon());
  return chosen;
}

struct Shown {
  std::string whole;  // of one VM
  std::string line;   // of one among several
  int code = 0;
};
using Render = std::function<Shown(const std::string& vm, const Json& result)>;

// What was done, and what goes on.
Json interrupted(const Order& order, const Chosen& chosen, const std::map<std::string, Json>& results) {
  Json all = Json::array();
  for (const std::string& vm : chosen.vms) {
    if (const auto done = results.find(vm); done != results.end()) {
      all.push_back(done->second);
      continue;
    }
    const Json error = to_json(Error{.code = Code::cancelled,
                                     .what = order.kind + " '" + vm + "': no longer waited for; it goes on",
                                     .hint = "see: bulkhead list"});
    if (chosen.one) return {{"error", error}};
    all.push_back({{"vm", vm}, {"error", error}});
  }
  return all;
}

Result<int> carry_out_for(const Link& link, const Common& common, const Chosen& chosen, Order order,
                          const Render& render) {
  if (chosen.vms.empty()) {
    show(common, Json::array(), "nothing to " + order.kind + "\n");
    return 0;
  }
  order.vms = chosen.vms;
  std::map<std::string, Json> results;
  std::optional<Error> failed;
  int worst = 0;
  const Ended ended = [&](const std::string& vm, const Result<Json>& result) {
    if (!result) {
      worst = std::max(worst, exit_code(result.error().code));
      failed = result.error();
      results[vm] = Json{{"vm", vm}, {"error", to_json(result.error())}};
      if (!chosen.one && common.format == Format::table) tell(render_error(result.error()));
      return;
    }
    const Shown shown = render(vm, *result);
    worst = std::max(worst, shown.code);
    results[vm] = *result;
    show_part(common, chosen.one ? shown.whole : shown.line);
  };
  if (carry_out(link, common, order, ended) == Waited::interrupted) {
    if (common.format != Format::table) show(common, interrupted(order, chosen, results), "");
    return exit_interrupted;
  }
  if (chosen.one && failed) return std::unexpected(*failed);
  Json all = Json::array();
  for (const std::string& vm : chosen.vms) all.push_back(results[vm]);
  if (common.format != Format::table) show(common, chosen.one ? all.front() : all, "");
  return worst;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n') + 1); }

Render started() {
  return [](const std::string&, const Json& vm) {
    const std::string text = render_started(vm);
    return Shown{.whole = text, .line = first_line(text)};
  };
}

std::optional<Deadline> limit(const Common& common) {
  if (!common.timeout) return std::nullopt;
  return Clock::now() + *common.timeout;
}

Json stop_body(const StopOptions& options) {
  Json body = Json::object();
  if (on(options.force)) body["force"] = true;
  if (options.grace) body["grace_ms"] = options.grace->count();
  return body;
}

Result<int> plan(const Link& link, const Common& common, const Chosen& chosen, const StopOptions& options) {
  Json plans = Json::array();
  int worst = 0;
  for (const std::string& vm : chosen.vms) {
    api::Request request{.method = "GET", .path = "/v1/vms/" + vm + "/stop-plan"};
    if (on(options.force)) request.query["force"] = "true";
    if (options.grace) request.query["grace_ms"] = std::to_string(options.grace->count());
    const auto one = link.call(request, soon());
    if (!one && chosen.one) return std::unexpected(one.error());
    if (one) {
      show_part(common, render_plan(*one, common.style));
      plans.push_back(*one);
      continue;
    }
    worst = std::max(worst, exit_code(one.error().code));
    if (common.format == Format::table) tell(render_error(one.error()));
    plans.push_back({{"vm", vm}, {"error", to_json(one.error())}});
  }
  if (common.format != Format::table) show(common, chosen.one ? plans.front() : plans, "");
  return worst;
}

}  // namespace

Result<int> start(const Link& link, const Common& common, const Names& names) {
  TRY(const Chosen chosen, choose(link, names, {"stopped", "failed"}));
  Order order{.kind = "start"};
  if (common.timeout) {
    order.body["timeout_ms"] = common.timeout->count();
    order.until = Clock::now() + *common.timeout + undo_time;
  }
  return carry_out_for(link, common, chosen, std::move(order), started());
}

Result<int> stop(const Link& link, const Common& common, const Names& names, const StopOptions& options) {
  TRY(const Chosen chosen, choose(link, names, {"starting", "running", "stopping", "stuck", "failed", "lost"}));
  if (on(options.dry_run)) return plan(link, common, chosen, options);
  const Render render = [&common](const std::string&, const Json& report) {
    return Shown{.whole = render_stop(report, common.style),
                 .line = render_stop_line(report),
                 .code = string_or(report, "outcome") == "stopped" ? 0 : 1};
  };
  return carry_out_for(link, common, chosen,
                       {.kind = "stop", .vms = {}, .body = stop_body(options), .until = limit(common)}, render);
}

Result<int> restart(const Link& link, const Common& common, const Names& names, const StopOptions& options) {
  TRY(const Chosen chosen, choose(link, names, {"starting", "running", "stopping", "stuck"}));
  return carry_out_for(link, common, chosen,
                       {.kind = "restart", .vms = {}, .body = stop_body(options), .until = limit(common)}, started());
}

Result<int> remove(const Link& link, const Common& common, const Names& names, const RemoveOptions& options) {
  TRY(const Chosen chosen, choose(link, names, {}));
  Order order{.kind = "remove", .vms = {}, .until = limit(common)};
  if (on(options.force)) order.query["force"] = "true";
  if (on(options.keep_logs)) order.query["keep_logs"] = "true";
  const Render render = [](const std::string& vm, const Json& result) {
    const std::string text = render_removed(vm, result);
    return Shown{.whole = text, .line = text};
  };
  return carry_out_for(link, common, chosen, std::move(order), render);
}

}  // namespace bulkhead::cli
