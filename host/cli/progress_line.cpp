#include "cli/progress_line.hpp"

#include "cli/progress.hpp"
#include "cli/terminal.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {

namespace {

// A line that wraps could not be taken back. Cut at a character's begin.
std::string cut(std::string text, std::size_t width) {
  if (text.size() < width) return text;
  std::size_t end = width > 1 ? width - 1 : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

}  // namespace

ProgressLine::ProgressLine(const Common& common) {
  if (common.format != Format::table) return;
  if (is_terminal(Standard::err) && os::environment("TERM").value_or("") != "dumb") {
    mode_ = Mode::redrawn;
  } else if (on(common.verbose)) {
    mode_ = Mode::lines;
  }
}

void ProgressLine::show(const std::vector<Json>& operations) {
  if (mode_ == Mode::redrawn) {
    tell("\r\x1b[K" + cut(render_progress(operations), terminal_width()));
    drawn_ = true;
  }
  if (mode_ != Mode::lines) return;
  for (const Json& operation : operations) {
    const std::string phase = string_or(object_at(operation, "progress").value_or(Json::object()), "phase");
    std::string& last = phases_[string_or(operation, "id")];
    if (phase.empty() || phase == last || string_or(operation, "state") != "running") continue;
    last = phase;
    tell(render_phase(operation) + "\n");
  }
}

void ProgressLine::clear() {
  if (drawn_) tell("\r\x1b[K");
  drawn_ = false;
}

}  // namespace bulkhead::cli
