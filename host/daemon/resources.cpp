#include "daemon/resources.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/units.hpp"
#include "daemon/event_stream.hpp"

namespace bulkhead::daemon {

namespace {

constexpr char openapi_text[] =
#include "openapi.inc"
    ;

constexpr milliseconds start_time{120'000};
constexpr milliseconds longest{24LL * 3600 * 1000};
constexpr milliseconds longest_wait{3600LL * 1000};
constexpr const char* key_header = "idempotency-key";

milliseconds time_of(const Json& body, const char* key, milliseconds otherwise) {
  return std::clamp(milliseconds{integer_or(body, key, otherwise.count())}, milliseconds{0}, longest);
}

Result<milliseconds> wait_of(const api::Request& request) {
  const std::string text = api::query_value(request, "wait");
  if (text.empty()) return milliseconds{0};
  TRY(const milliseconds wait, parse_duration(text));
  return std::min(wait, longest_wait);
}

StopRequest stop_request(const Json& body) {
  StopRequest request;
  if (on(flag_or(body, "force", Flag::off))) request.how = StopRequest::How::forced;
  if (body.contains("grace_ms")) request.grace = time_of(body, "grace_ms", milliseconds{0});
  return request;
}

api::Response ok(Json body) {
  api::Response response;
  response.body = std::move(body);
  return response;
}

// "/v1/vms/{name}/start" against "/v1/vms/dev/start": "dev". Nothing: another path.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
  const auto open = pattern.find('{');
  if (open == std::string_view::npos) return pattern == path ? std::optional(std::string()) : std::nullopt;
  const std::string_view before = pattern.substr(0, open);
  const std::string_view after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size()) return std::nullopt;
  if (!path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view value = path.substr(before.size(), path.size() - before.size() - after.size());
  if (value.find('/') != std::string_view::npos) return std::nullopt;
  return std::string(value);
}

}  // namespace

const Json& Resources::document() {
  static const Json parsed = Json::parse(openapi_text);
  return parsed;
}

const std::vector<Resources::Route>& Resources::routes() {
  static const std::vector<Route> table{
      {"GET", "/v1/openapi.json", &Resources::get_openapi},
      {"GET", "/v1/host", &Resources::get_host},
      {"POST", "/v1/host/stop", &Resources::stop_host},
      {"POST", "/v1/host/reload", &Resources::reload_host},
      {"POST", "/v1/host/repair", &Resources::repair_host},
      {"GET", "/v1/drivers", &Resources::list_drivers},
      {"POST", "/v1/specs/check", &Resources::check_spec},
      {"GET", "/v1/vms", &Resources::list_vms},
      {"POST", "/v1/vms", &Resources::create_vm},
      {"GET", "/v1/vms/{name}", &Resources::get_vm},
      {"PUT", "/v1/vms/{name}", &Resources::change_vm},
      {"DELETE", "/v1/vms/{name}", &Resources::remove_vm},
      {"POST", "/v1/vms/{name}/start", &Resources::start_vm},
      {"POST", "/v1/vms/{name}/stop", &Resources::stop_vm},
      {"POST", "/v1/vms/{name}/restart", &Resources::restart_vm},
      {"GET", "/v1/vms/{name}/stop-plan", &Resources::plan_stop},
      {"GET", "/v1/operations", &Resources::list_operations},
      {"GET", "/v1/operations/{id}", &Resources::get_operation},
      {"GET", "/v1/events", &Resources::list_events},
  };
  return table;
}

std::vector<std::pair<std::string, std::string>> Resources::all() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Route& route : routes()) list.emplace_back(route.method, route.path);
  return list;
}

Resources::Resources(Daemon& daemon, const Surroundings& surroundings)
    : daemon_(daemon), surroundings_(surroundings), operations_(surroundings.scope) {
  for (const Route& route : routes()) {
    std::string method = route.method;
    std::ranges::transform(method, method.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    const Json& operation = document().at("paths").at(route.path).at(method);
    if (!operation.contains("requestBody")) continue;
    Json schema = operation.at("requestBody").at("content").at("application/json").at("schema");
    if (schema.contains("$ref")) {
      const std::string reference = schema.at("$ref").get<std::string>();
      schema = document().at(Json::json_pointer(reference.substr(1)));
    }
    schema["components"] = document().at("components");
    bodies_.emplace(std::string(route.method) + " " + route.path, *Schema::compile(std::move(schema), "openapi.json"));
  }
}

Task<api::Response> Resources::handle(api::Request request) {
  const std::string what = request.method + " " + request.path;
  auto answered = co_await dispatch(std::move(request));
  if (answered) co_return *std::move(answered);
  surroundings_.log.info(what + ": " + one_line(answered.error()));
  co_return api::failure(answered.error());
}

Task<Resources::Answer> Resources::dispatch(api::Request request) {
  std::string allowed;
  for (const Route& route : routes()) {
    auto parameter = match(route.path, request.path);
    if (!parameter) continue;
    if (request.method != route.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    CO_CHECKED(check_body(route, request));
    CO_CHECKED(wait_of(request));  // before anything is done
    const std::string key = api::header_value(request, key_header);
    if (!key.empty() && request.method != "GET") {
      CO_TRY(const auto* seen, idempotency_.seen(key, request, Clock::now()));
      if (seen != nullptr) {
        auto operation = seen->operation;
        api::Response before = seen->response;
        if (operation) co_return co_await answer(std::move(operation), std::move(request));
        co_return before;
      }
    }
    Call call{.request = std::move(request), .parameter = *std::move(parameter)};
    co_return co_await (this->*route.perform)(std::move(call));
  }
  const std::string what = request.method + " " + request.path.substr(0, 200);
  if (allowed.empty()) co_return fail(Code::not_found, what + ": no such resource", "see: GET /v1/openapi.json");
  api::Response response =
      api::failure({.code = Code::unsupported, .what = what + ": no such method", .hint = "use " + allowed});
  response.status = 405;
  response.body["status"] = 405;
  response.headers["allow"] = allowed;
  co_return response;
}

Result<void> Resources::check_body(const Route& route, const api::Request& request) const {
  const auto schema = bodies_.find(std::string(route.method) + " " + route.path);
  if (schema == bodies_.end()) return {};
  auto problems = schema->second.check(request.body);
  if (problems.empty()) return {};
  return std::unexpected(Error{.code = Code::invalid,
                               .what = "read request body: not what " + request.method + " " + request.path + " takes",
                               .problems = std::move(problems)});
}

Task<Resources::Answer> Resources::get_openapi(Call) { co_return ok(document()); }

Task<Resources::Answer> Resources::get_host(Call) { co_return ok(daemon_.describe()); }

Task<Resources::Answer> Resources::stop_host(Call call) {
  const Flag keep_vms = flag_or(call.request.body, "keep_vms", Flag::off);
  std::optional<milliseconds> time;
  if (call.request.body.contains("timeout_ms")) time = time_of(call.request.body, "timeout_ms", longest);
  const auto vms = on(keep_vms) ? Daemon::Vms::keep : Daemon::Vms::stop;
  Json done = co_await daemon_.stop_host(vms, time);
  co_return ok(std::move(done));
}

Task<Resources::Answer> Resources::reload_host(Call) {
  CO_TRY(Json changed, surroundings_.reload());
  surroundings_.events.publish("host.reloaded", "", changed);
  co_return ok(std::move(changed));
}

Task<Resources::Answer> Resources::repair_host(Call call) {
  const Flag dry_run = flag_or(call.request.body, "dry_run", Flag::off);
  CO_TRY(Json done, co_await daemon_.repair(dry_run));
  co_return ok(std::move(done));
}

Task<Resources::Answer> Resources::list_drivers(Call) { co_return ok(daemon_.drivers()); }

Task<Resources::Answer> Resources::list_vms(Call) { co_return ok(daemon_.list()); }

Task<Resources::Answer> Resources::check_spec(Call call) {
  const Json& body = call.request.body;
  CO_TRY(const store::VmSpec spec, daemon_.check(body.at("spec"), string_or(body, "folder")));
  co_return ok({{"spec", store::to_json(spec)}});
}

Task<Resources::Answer> Resources::create_vm(Call call) {
  const api::Request& request = call.request;
  CO_TRY(store::VmSpec spec, daemon_.check(request.body.at("spec"), string_or(request.body, "folder")));
  CO_TRY(const auto vm, daemon_.create(std::move(spec)));
  api::Response response = ok(vm->info());
  response.status = 201;
  response.headers["location"] = "/v1/vms/" + vm->name().str();
  const std::string key = api::header_value(request, key_header);
  if (!key.empty()) idempotency_.keep(key, request, {.response = response}, Clock::now());
  co_return response;
}

Task<Resources::Answer> Resources::get_vm(Call call) {
  CO_TRY(const auto vm, daemon_.find(call.parameter));
  co_return ok(vm->info());
}

Task<Resources::Answer> Resources::change_vm(Call call) {
  const api::Request& request = call.request;
  CO_TRY(const auto vm, daemon_.find(call.parameter));
  CO_TRY(store::VmSpec spec, daemon_.check(request.body.at("spec"), string_or(request.body, "folder")));
  if (spec.name != vm->name()) {
    co_return fail(Code::invalid, "change '" + vm->name().str() + "': the spec names '" + spec.name.str() + "'",
                   "a VM keeps its name; create another one");
  }
  CO_CHECKED(vm->change(std::move(spec)));
  api::Response response = ok(vm->info());
  const std::string key = api::header_value(request, key_header);
  if (!key.empty()) idempotency_.keep(key, request, {.response = response}, Clock::now());
  co_return response;
}

Task<Resources::Answer> Resources::remove_vm(Call call) {
  CO_TRY(const Flag force, api::query_flag(call.request, "force"));
  CO_TRY(const Flag keep_logs, api::query_flag(call.request, "keep_logs"));
  CO_TRY(auto vm, daemon_.find(call.parameter));
  auto work = daemon_.remove(vm, force, keep_logs);
  co_return co_await operate(std::move(call), "remove", std::move(vm), std::move(work));
}

Task<Resources::Answer> Resources::start_vm(Call call) {
  CO_TRY(auto vm, daemon_.find(call.parameter));
  const Deadline deadline =
      Clock::now() + std::max(milliseconds{1}, time_of(call.request.body, "timeout_ms", start_time));
  auto work = vm->start(deadline);
  co_return co_await operate(std::move(call), "start", std::move(vm), std::move(work));
}

Task<Resources::Answer> Resources::stop_vm(Call call) {
  CO_TRY(auto vm, daemon_.find(call.parameter));
  const StopRequest request = stop_request(call.request.body);
  auto work = vm->stop(request);
  co_return co_await operate(std::move(call), "stop", std::move(vm), std::move(work));
}

Task<Resources::Answer> Resources::restart_vm(Call call) {
  CO_TRY(auto vm, daemon_.find(call.parameter));
  const StopRequest request = stop_request(call.request.body);
  const milliseconds time = std::max(milliseconds{1}, time_of(call.request.body, "timeout_ms", start_time));
  auto work = vm->restart(request, time);
  co_return co_await operate(std::move(call), "restart", std::move(vm), std::move(work));
}

Task<Resources::Answer> Resources::plan_stop(Call call) {
  CO_TRY(const Flag force, api::query_flag(call.request, "force"));
  CO_TRY(const std::uint64_t grace, api::query_number(call.request, "grace_ms", 0));
  CO_TRY(const auto vm, daemon_.find(call.parameter));
  StopRequest request;
  if (on(force)) request.how = StopRequest::How::forced;
  if (!api::query_value(call.request, "grace_ms").empty()) {
    request.grace = milliseconds{std::min(grace, static_cast<std::uint64_t>(longest.count()))};
  }
  CO_TRY(Json plan, co_await vm->plan_stop(request));
  co_return ok(std::move(plan));
}

// Force is never turned away, and never queued: it overtakes what is under way.
Task<Resources::Answer> Resources::operate(Call call, std::string kind, std::shared_ptr<Vm> vm,
                                           Task<Result<Json>> work) {
  const bool forced = kind == "stop" && on(flag_or(call.request.body, "force", Flag::off));
  if (operations_.full() && !forced) {
    co_return fail(Code::unavailable, kind + " '" + vm->name().str() + "': too many operations are under way");
  }
  auto operation = operations_.begin(kind, vm, std::move(work));
  const std::string key = api::header_value(call.request, key_header);
  if (!key.empty()) idempotency_.keep(key, call.request, {.operation = operation}, Clock::now());
  co_return co_await answer(std::move(operation), std::move(call.request));
}

// A client that has gone is not noticed before its answer is sent. So those that wait may take only half of the
// requests that the server handles at once: the rest is answered at once, as if its time were over.
Task<void> Resources::wait_within_limit(std::shared_ptr<Operation> operation, milliseconds wait) {
  constexpr std::size_t most_waiting = api::Limits{}.requests / 2;
  if (wait <= milliseconds{0} || waiting_ >= most_waiting) co_return;
  ++waiting_;
  co_await wait_for(std::move(operation), Clock::now() + wait);
  --waiting_;
}

Task<Resources::Answer> Resources::answer(std::shared_ptr<Operation> operation, api::Request request) {
  CO_TRY(const milliseconds wait, wait_of(request));
  co_await wait_within_limit(operation, wait);
  api::Response response = ok(to_json(*operation));
  if (!operation->outcome) {
    response.status = 202;
  } else if (!*operation->outcome) {
    response = api::failure(operation->outcome->error());
    response.body["operation"] = operation->id;
  }
  response.headers["location"] = "/v1/operations/" + operation->id;
  co_return response;
}

Task<Resources::Answer> Resources::list_operations(Call call) {
  co_return ok({{"operations", operations_.list(api::query_value(call.request, "vm"))}});
}

Task<Resources::Answer> Resources::get_operation(Call call) {
  CO_TRY(const milliseconds wait, wait_of(call.request));
  const auto operation = operations_.find(call.parameter);
  if (!operation) {
    co_return fail(Code::not_found, "no operation '" + call.parameter.substr(0, 80) + "'",
                   "those that ended long ago are forgotten; see: GET /v1/operations");
  }
  co_await wait_within_limit(operation, wait);
  co_return ok(to_json(*operation));
}

Task<Resources::Answer> Resources::list_events(Call call) {
  const api::Request& request = call.request;
  const std::string vm = api::query_value(request, "vm");
  CO_TRY(const std::uint64_t after, api::query_number(request, "after", 0));
  CO_TRY(const std::uint64_t limit, api::query_number(request, "limit", Events::kept));
  const bool from = !api::query_value(request, "after").empty();
  if (header_value(request, "accept").find("text/event-stream") != std::string::npos) {
    const std::string last_seen = api::header_value(request, "last-event-id");
    std::uint64_t begin = from ? after : surroundings_.events.last();
    if (!last_seen.empty()) {
      const auto [end, error] = std::from_chars(last_seen.data(), last_seen.data() + last_seen.size(), begin);
      if (error != std::errc{} || end != last_seen.data() + last_seen.size()) {
        co_return fail(Code::invalid, "read Last-Event-ID: '" + last_seen.substr(0, 40) + "' is no number");
      }
    }
    api::Response response;
    response.headers = {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}};
    response.stream = event_stream(surroundings_.events, begin, vm);
    co_return response;
  }
  const auto most = static_cast<std::size_t>(std::clamp<std::uint64_t>(limit, 1, Events::kept));
  const auto page = from ? surroundings_.events.after(after, vm, most) : surroundings_.events.newest(vm, most);
  co_return ok({{"events", page.events}, {"gap", page.gap}, {"last", page.last}});
}

}  // namespace bulkhead::daemon
