#include "cli/progress.hpp"

#include <algorithm>
#include <fmt/core.h>

#include "base/units.hpp"
#include "cli/table.hpp"

namespace bulkhead::cli {

namespace {

Json progress_of(const Json& operation) { return object_at(operation, "progress").value_or(Json::object()); }

bool under_way(const Json& operation) { return string_or(operation, "state") == "running"; }

std::string subject(const Json& operation) {
  return gerund(string_or(operation, "kind")) + " '" + safe(string_or(operation, "vm")) + "'";
}

// "ask 3 s of 20 s"
std::string phase_text(const Json& operation) {
  const Json progress = progress_of(operation);
  const std::string phase = safe(string_or(progress, "phase"));
  const bool in_phase = !phase.empty() && phase != "none";
  const auto elapsed = in_phase ? integer_or(progress, "elapsed_ms", 0) : integer_or(operation, "elapsed_ms", 0);
  std::string text = fmt::format("{}{} s", in_phase ? phase + " " : "", std::max<std::int64_t>(elapsed, 0) / 1000);
  if (const auto limit = integer_or(progress, "at_most_ms", 0); in_phase && limit > 0) {
    text += " of " + render(milliseconds{limit});
  }
  return text;
}

}  // namespace

std::string gerund(const std::string& kind) {
  if (kind == "stop") return "stopping";
  if (kind == "remove") return "removing";
  return kind + "ing";
}

std::string render_progress(const std::vector<Json>& operations) {
  const auto current = std::ranges::find_if(operations, under_way);
  if (operations.size() == 1) return subject(operations.front()) + ": " + phase_text(operations.front());
  if (operations.empty()) return "";
  const auto left = std::ranges::count_if(operations, under_way);
  const auto done = static_cast<std::ptrdiff_t>(operations.size()) - left;
  std::string text =
      fmt::format("{} {} VMs: {} done", gerund(string_or(operations.front(), "kind")), operations.size(), done);
  if (current != operations.end()) {
    text += "; '" + safe(string_or(*current, "vm")) + "': " + phase_text(*current);
  }
  return text;
}

std::string render_phase(const Json& operation) {
  const Json progress = progress_of(operation);
  std::string text = subject(operation) + ": " + safe(string_or(progress, "phase", "under way"));
  if (const auto limit = integer_or(progress, "at_most_ms", 0); limit > 0) {
    text += ", up to " + render(milliseconds{limit});
  }
  return text;
}

}  // namespace bulkhead::cli
