#include "daemon/report.hpp"

#include <chrono>

#include "base/timestamp.hpp"
#include "os/process_table.hpp"

namespace bulkhead::daemon {

namespace {

std::int64_t ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<milliseconds>(to - from).count();
}

Json survivors_json(const std::vector<contain::Member>& survivors) {
  Json list = Json::array();
  for (const contain::Member& m : survivors) {
    list.push_back({{"pid", m.identity.pid},
                    {"name", m.name},
                    {"state", std::string(1, m.state)},
                    {"waits_for", os::waits_for(m.identity.pid)},
                    {"found_by", m.found_by}});
  }
  return list;
}

}  // namespace

Json stop_report(const Run& run, const stop::Ladder& ladder, const RunStop::Notes& notes, const StopReason& reason) {
  const auto& story = ladder.story();
  const bool stopped = ladder.outcome() == stop::Outcome::stopped;
  Json report{{"version", 1},
              {"vm", run.beginning().vm},
              {"run", run.id().str()},
              {"containment", run.beginning().containment},
              {"at", timestamp_now()},
              {"reason", reason.why},
              {"outcome", stop::name(ladder.outcome())},
              {"rung", stop::name(ladder.rung())},
              {"duration_ms", story.empty() ? 0 : ms_between(story.front().began, story.back().ended)},
              {"processes", notes.processes},
              {"artifacts", notes.artifacts},
              {"evidence", stopped ? notes.evidence : Json::array()},
              {"survivors", survivors_json(stopped ? std::vector<contain::Member>{} : notes.survivors)}};
  report["rungs"] = Json::array();
  for (const stop::Climbed& climbed : story) {
    report["rungs"].push_back({{"rung", stop::name(climbed.rung)},
                               {"began_ms", ms_between(story.front().began, climbed.began)},
                               {"ended_ms", ms_between(story.front().began, climbed.ended)},
                               {"outcome", stop::name(climbed.saw)},
                               {"detail", climbed.detail}});
  }
  if (!stopped) report["why"] = notes.doubt;
  return report;
}

}  // namespace bulkhead::daemon
