#include "daemon/events.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/timestamp.hpp"
#include "os/file.hpp"

namespace bulkhead::daemon {

namespace {

constexpr std::uintmax_t largest_file = 2U << 20;
// Microseconds of the next two centuries, and what every client's JSON can hold: more is damage.
constexpr std::uint64_t highest_id = 1ULL << 53;

std::uint64_t id_of(const Json& event) { return static_cast<std::uint64_t>(integer_or(event, "id", 0)); }

bool concerns(const Json& event, const std::string& vm) { return vm.empty() || string_or(event, "vm") == vm; }

}  // namespace

Events::Events(const std::filesystem::path& home, Log log)
    : file_(home / "events.jsonl"), older_(home / "events.1.jsonl"), log_(std::move(log)) {
  load(older_);
  load(file_);
}

void Events::load(const std::filesystem::path& file) {
  const auto text = os::read_tail(file, 2 * largest_file);
  if (!text) return;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    auto event = parse_json(line, "event");  // a line may be torn: these are not worth a sync
    if (!event || !event->is_object() || id_of(*event) <= last_ || id_of(*event) > highest_id) continue;
    last_ = id_of(*event);
    events_.push_back(*std::move(event));
  }
  while (events_.size() > kept) {
    dropped_ = id_of(events_.front());
    events_.pop_front();
  }
}

void Events::publish(const std::string& kind, const std::string& vm, Json detail) {
  using std::chrono::microseconds;
  const auto now = std::chrono::system_clock::now();
  const auto clock = std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
  // By the clock, so that an id is not used again even when those before it could not be written down.
  last_ = std::max(last_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(clock, 0)));
  Json event{{"id", last_}, {"at", timestamp(now)}, {"kind", kind}, {"detail", std::move(detail)}};
  if (!vm.empty()) event["vm"] = vm;
  write(event);
  events_.push_back(std::move(event));
  if (events_.size() > kept) {
    dropped_ = id_of(events_.front());
    events_.pop_front();
  }
  changed_.notify();
}

void Events::write(const Json& event) {
  std::error_code error;
  if (std::filesystem::file_size(file_, error) > largest_file && !error) {
    std::filesystem::rename(file_, older_, error);
  }
  // Opened for writing, a pipe would hold us up until somebody reads it.
  const auto type = std::filesystem::symlink_status(file_, error).type();
  std::ofstream out;
  if (type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found) {
    out.open(file_, std::ios::app | std::ios::binary);
  } else {
    out.setstate(std::ios::failbit);
  }
  if (complained_) out << "\n";  // ends what may have been torn
  out << dump(event) << "\n" << std::flush;
  if (!out && !complained_) log_.warning("write '" + file_.string() + "': events are not kept over a restart now");
  complained_ = !out;
}

Events::Page Events::after(std::uint64_t id, const std::string& vm, std::size_t limit) const {
  // An id that is not given yet comes from before a backup was put back, or the clock was.
  Page page{.gap = id < dropped_ || id > last_, .last = last_};
  const auto first = std::ranges::find_if(events_, [id](const Json& event) { return id_of(event) > id; });
  for (auto it = first; it != events_.end() && page.events.size() < limit; ++it) {
    if (concerns(*it, vm)) page.events.push_back(*it);
  }
  return page;
}

Events::Page Events::newest(const std::string& vm, std::size_t limit) const {
  Page page{.gap = dropped_ > 0, .last = last_};
  for (const Json& event : events_) {
    if (concerns(event, vm)) page.events.push_back(event);
  }
  if (page.events.size() > limit) {
    page.gap = true;
    page.events.erase(page.events.begin(), page.events.end() - static_cast<std::ptrdiff_t>(limit));
  }
  return page;
}

Task<void> Events::next(Deadline deadline) {
  if (!closed_) co_await changed_.wait(deadline);
}

void Events::close() {
  closed_ = true;
  changed_.notify();
}

}  // namespace bulkhead::daemon
