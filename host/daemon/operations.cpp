#include "daemon/operations.hpp"

#include <algorithm>
#include <utility>

#include "api/message.hpp"
#include "base/ids.hpp"
#include "base/timestamp.hpp"
#include "daemon/vm.hpp"

namespace bulkhead::daemon {

namespace {

std::int64_t ms(Duration duration) { return std::chrono::duration_cast<milliseconds>(duration).count(); }

Json progress_json(const Progress& progress, Clock::time_point now) {
  Json json{{"phase", progress.phase}, {"elapsed_ms", ms(now - progress.since)}};
  if (progress.until) json["at_most_ms"] = ms(*progress.until - progress.since);
  return json;
}

}  // namespace

Json to_json(const Operation& operation) {
  const auto now = Clock::now();
  const bool ended = operation.outcome.has_value();
  Json json{{"id", operation.id},
            {"kind", operation.kind},
            {"vm", operation.vm},
            {"state", !ended               ? "running"
                      : *operation.outcome ? "done"
                                           : "failed"},
            {"started_at", operation.started_at},
            {"elapsed_ms", ms((ended ? operation.ended : now) - operation.began)}};
  if (ended) {
    json["ended_at"] = operation.ended_at;
    if (*operation.outcome) {
      json["result"] = **operation.outcome;
    } else {
      json["error"] = api::problem(operation.outcome->error());
    }
  } else if (const auto vm = operation.subject.lock()) {
    if (const auto progress = vm->progress()) json["progress"] = progress_json(*progress, now);
  }
  return json;
}

std::shared_ptr<Operation> Operations::begin(const std::string& kind, const std::shared_ptr<const Vm>& vm,
                                             Task<Result<Json>> work) {
  auto operation = std::make_shared<Operation>(Operation{.id = RunId::random().str(),
                                                         .kind = kind,
                                                         .vm = vm->name().str(),
                                                         .started_at = timestamp_now(),
                                                         .began = Clock::now(),
                                                         .subject = vm});
  operations_.push_back(operation);
  ++running_;
  scope_.spawn(kind + " " + operation->vm, perform(this, operation, std::move(work)));
  return operation;
}

Task<void> Operations::perform(Operations* self, std::shared_ptr<Operation> operation, Task<Result<Json>> work) {
  Result<Json> outcome = fail(Code::internal, operation->kind + " '" + operation->vm + "': it ended with an exception");
  std::exception_ptr bug;
  try {
    outcome = co_await std::move(work);
  } catch (...) {
    bug = std::current_exception();
  }
  operation->outcome = std::move(outcome);
  operation->ended = Clock::now();
  operation->ended_at = timestamp_now();
  --self->running_;
  self->forget_old();
  operation->changed.notify();
  if (bug) std::rethrow_exception(bug);  // the scope logs it
}

void Operations::forget_old() {
  std::size_t ended = operations_.size() - running_;
  for (auto it = operations_.begin(); it != operations_.end() && ended > most_ended;) {
    if ((*it)->outcome) {
      it = operations_.erase(it);
      --ended;
    } else {
      ++it;
    }
  }
}

std::shared_ptr<Operation> Operations::find(const std::string& id) const {
  const auto found = std::ranges::find(operations_, id, [](const auto& operation) { return operation->id; });
  return found == operations_.end() ? nullptr : *found;
}

std::shared_ptr<Operation> Operations::running(const std::string& kind, const std::string& vm) const {
  const auto found = std::ranges::find_if(operations_, [&](const auto& operation) {
    return !operation->outcome && operation->kind == kind && operation->vm == vm;
  });
  return found == operations_.end() ? nullptr : *found;
}

Json Operations::list(const std::string& vm) const {
  Json list = Json::array();
  for (const auto& operation : operations_) {
    if (vm.empty() || operation->vm == vm) list.push_back(to_json(*operation));
  }
  return list;
}

Task<void> wait_for(std::shared_ptr<Operation> operation, Deadline deadline) {
  while (!operation->outcome && Clock::now() < deadline) co_await operation->changed.wait(deadline);
}

}  // namespace bulkhead::daemon
