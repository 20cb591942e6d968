#include <algorithm>
#include <utility>

#include "daemon/daemon.hpp"
#include "daemon/orphans.hpp"

// What the daemon does about the orphans of earlier runs.
namespace bulkhead::daemon {

namespace {

constexpr milliseconds reap_time{15'000};

Grounds grounds_of(const Surroundings& surroundings) {
  return {.store = surroundings.store,
          .runtime_directory = surroundings.runtime_directory,
          .cgroup_base = surroundings.containment.cgroup_base};
}

std::string in_words(const Orphan& orphan) {
  std::string text = "run " + orphan.run + " is no VM's: " + std::to_string(orphan.processes.size()) + " processes";
  if (!orphan.cgroup.empty()) text += ", " + orphan.cgroup.string();
  if (!orphan.directory.empty()) text += ", " + orphan.directory.string();
  return text + (orphan.keep.empty() ? "" : "; left alone: " + orphan.keep);
}

}  // namespace

std::set<RunId> Daemon::runs() const {
  std::set<RunId> runs;
  for (const auto& [name, vm] : vms_) {
    if (const auto run = vm->run_id()) runs.insert(*run);
  }
  return runs;
}

Task<void> Daemon::look_for_orphans() {
  const Grounds grounds = grounds_of(surroundings_);
  const std::set<RunId> current = runs();
  auto look = [grounds, current] { return survey(grounds, current); };
  auto found = co_await on_thread(surroundings_.pool.get_executor(), std::move(look));
  if (!found) {
    surroundings_.log.warning("look for orphans: " + found.error().what);
    co_return;
  }
  orphans_ = 0;
  for (const Orphan& orphan : *found) {
    const bool empty = orphan.keep.empty() && orphan.processes.empty();
    surroundings_.log.warning(in_words(orphan) + (empty ? "; removing it" : "; see: bulkhead repair --dry-run"));
    if (!empty) {
      ++orphans_;
      continue;
    }
    auto remove = [grounds, current, orphan] { return clear(grounds, current, orphan); };
    const Repair repair = co_await on_thread(surroundings_.pool.get_executor(), std::move(remove));
    if (!repair.done) {
      ++orphans_;
      surroundings_.log.warning("remove what is left of run " + orphan.run + ": " + repair.why);
    }
  }
  if (orphans_ > 0) surroundings_.events.publish("host.orphans", "", {{"count", orphans_}});
}

Task<Result<Json>> Daemon::repair(Flag dry_run) {
  const Grounds grounds = grounds_of(surroundings_);
  const std::set<RunId> current = runs();
  auto look = [grounds, current] { return survey(grounds, current); };
  auto found = co_await on_thread(surroundings_.pool.get_executor(), std::move(look));
  if (!found) co_return std::unexpected(within("look for orphans", found.error()));
  Json list = Json::array();
  std::size_t left = 0;
  for (const Orphan& orphan : *found) {
    Json entry = to_json(orphan);
    bool done = false;
    if (!on(dry_run)) {
      surroundings_.log.info(in_words(orphan));
      const Deadline deadline = Clock::now() + reap_time;
      auto end = [grounds, current, orphan, deadline] { return reap(grounds, current, orphan, deadline); };
      const Repair repair = co_await on_thread(surroundings_.pool.get_executor(), std::move(end));
      done = repair.done;
      entry["repair"] = to_json(repair);
    }
    if (!done) ++left;
    list.push_back(std::move(entry));
  }
  orphans_ = left;
  co_return Json{{"dry_run", on(dry_run)}, {"found", std::move(list)}, {"left", left}};
}

}  // namespace bulkhead::daemon
