#include "cli/operation.hpp"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <iostream>

#include "api/message.hpp"
#include "base/ids.hpp"
#include "cli/print.hpp"
#include "cli/progress.hpp"
#include "cli/progress_line.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

namespace bulkhead::cli {

namespace {

constexpr milliseconds redrawn_after{500};
constexpr milliseconds taken_within{60'000};  // a host with much to do may be slow to say that it has begun
constexpr milliseconds slow_answer{2'000};
constexpr milliseconds heeded_within{100};
constexpr milliseconds second_thoughts{3'000};

api::Request request_for(const Order& order, const std::string& vm) {
  api::Request request{.method = "POST", .path = "/v1/vms/" + vm + "/" + order.kind};
  if (order.kind == "remove") request = {.method = "DELETE", .path = "/v1/vms/" + vm};
  request.query = order.query;
  // Random, and as long as two runs' ids: one request, however often it arrives.
  request.headers = {{"idempotency-key", RunId::random().str() + RunId::random().str()}};
  request.body = order.body;
  return request;
}

// Of an operation that has ended.
Result<Json> result_of(const Json& operation) {
  if (string_or(operation, "state") == "done") return operation.value("result", Json::object());
  return std::unexpected(api::error_from_problem(object_at(operation, "error").value_or(Json::object())));
}

class Waiting {
 public:
  Waiting(const Link& link, const Common& common, const Order& order, const Ended& ended)
      : link_(link), order_(order), ended_(ended), line_(common) {}

  void begin() {
    for (const std::string& vm : order_.vms) {
      auto answer = send(request_for(order_, vm));
      if (!answer) {
        end(vm, std::unexpected(answer.error()));
      } else {
        took(*std::move(answer));
      }
    }
  }

  Waited wait() {
    while (under_way()) {
      if (order_.until && Clock::now() >= *order_.until) {
        give_up();
        return Waited::for_all;
      }
      if (!heed_interrupts()) return Waited::interrupted;
      look();
      if (under_way()) line_.show(operations_);
    }
    return Waited::for_all;
  }

 private:
  static bool running(const Json& operation) { return string_or(operation, "state") == "running"; }
  bool under_way() const { return std::ranges::any_of(operations_, running); }

  // Ctrl-C twice, while it is not even taken, ends the waiting for that.
  Result<Json> send(const api::Request& request) {
    const int before = interrupts_.count();
    const Deadline soon_taken = Clock::now() + slow_answer;
    auto answer =
        std::async(std::launch::async, [this, request] { return link_.call(request, Clock::now() + taken_within); });
    while (answer.wait_for(heeded_within) != std::future_status::ready) {
      if (interrupts_.count() < before + 2 || Clock::now() < soon_taken) continue;
      line_.clear();
      tell("bulkhead: bulkheadd does not answer; it may or may not take up what was asked; see: bulkhead list\n");
      std::cout.flush();
      std::_Exit(exit_interrupted);
    }
    return answer.get();
  }

  void end(const std::string& vm, const Result<Json>& result) {
    line_.clear();
    ended_(vm, result);
  }

  void took(Json operation) {
    if (!running(operation)) end(string_or(operation, "vm"), result_of(operation));
    operations_.push_back(std::move(operation));
  }

  // The first that runs is waited for; the others are only looked at.
  void look() {
    bool first = true;
    for (Json& operation : operations_) {
      if (!running(operation)) continue;
      milliseconds time = redrawn_after;
      if (order_.until) time = std::min(time, remaining(*order_.until, Clock::now()) + milliseconds{1});
      api::Request request{.method = "GET", .path = "/v1/operations/" + string_or(operation, "id")};
      if (first) request.query = {{"wait", std::to_string(time.count()) + "ms"}};
      first = false;
      auto answer = link_.call(request, Clock::now() + time + slow_answer);
      const std::string vm = string_or(operation, "vm");
      if (answer) {
        operation = *std::move(answer);
        if (!running(operation)) end(vm, result_of(operation));
      } else if (answer.error().code != Code::timed_out) {
        operation["state"] = "failed";
        end(vm, std::unexpected(forgotten(vm, answer.error())));
      } else {
        return;  // Ctrl-C and the time given are heeded meanwhile
      }
    }
  }

  Error forgotten(const std::string& vm, const Error& error) const {
    Error told = within(order_.kind + " '" + vm + "': bulkheadd went away while it was waited for", error);
    told.code = Code::unavailable;
    told.hint = "see how far it came: bulkhead list";
    return told;
  }

  void give_up() {
    for (Json& operation : operations_) {
      if (!running(operation)) continue;
      const std::string vm = string_or(operation, "vm");
      operation["state"] = "failed";
      end(vm, fail(Code::timed_out, order_.kind + " '" + vm + "': not done within the time given; it goes on",
                   "see: bulkhead list"));
    }
  }

  // False: the user does not want to wait any more.
  bool heed_interrupts() {
    const int count = interrupts_.count();
    const bool can_force = order_.kind == "stop" && !forced_ && !order_.body.value("force", false);
    if (count > heard_) {
      heard_ = count;
      line_.clear();
      if (can_force && asked_at_) return force();
      if (can_force) {
        asked_at_ = Clock::now();
        tell(going_on() + "; Ctrl-C again within " + std::to_string(second_thoughts.count() / 1000) + " s forces it\n");
        return true;
      }
      tell(going_on() + "; see: bulkhead list\n");
      return false;
    }
    if (!asked_at_ || forced_ || Clock::now() < *asked_at_ + second_thoughts) return true;
    line_.clear();
    tell("bulkhead: no longer waiting; see: bulkhead list\n");
    return false;
  }

  std::string going_on() const {
    const std::string what =
        order_.vms.size() == 1 ? "'" + order_.vms.front() + "'" : std::to_string(order_.vms.size()) + " VMs";
    return "bulkhead: " + gerund(order_.kind) + " " + what + " goes on";
  }

  bool force() {
    forced_ = true;
    tell("bulkhead: forcing it\n");
    Order forced = order_;
    forced.body = {{"force", true}};
    // The stop that is waited for is overtaken, and ends with it.
    for (const Json& operation : operations_) {
      if (!running(operation)) continue;
      const std::string vm = string_or(operation, "vm");
      if (auto answer = send(request_for(forced, vm)); !answer) {
        tell("bulkhead: force the stop of '" + vm + "': " + safe(answer.error().what) + "\n");
      }
    }
    return true;
  }

  const Link& link_;
  const Order& order_;
  const Ended& ended_;
  ProgressLine line_;
  Interrupts interrupts_;
  std::vector<Json> operations_;
  int heard_ = 0;
  bool forced_ = false;
  std::optional<Clock::time_point> asked_at_;
};

}  // namespace

Waited carry_out(const Link& link, const Common& common, const Order& order, const Ended& ended) {
  Waiting waiting(link, common, order, ended);
  waiting.begin();
  return waiting.wait();
}

}  // namespace bulkhead::cli
