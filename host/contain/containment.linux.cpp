#include "contain/containment.hpp"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "bulkhead/driver.h"

#include "contain/cgroup.hpp"
#include "os/process_table.hpp"

namespace bulkhead::contain {

namespace {

using Table = std::map<std::int64_t, os::ProcessInfo>;

Result<Table> snapshot() {
  TRY(auto list, os::process_table());
  Table table;
  for (os::ProcessInfo& info : list) table.emplace(info.identity.pid, std::move(info));
  return table;
}

bool present(const Table& table, const os::Identity& identity) {
  const auto it = table.find(identity.pid);
  return it != table.end() && it->second.identity == identity;
}

bool descends_from(const Table& table, const os::ProcessInfo& info, std::int64_t ancestor) {
  std::int64_t at = info.parent;
  for (int depth = 0; at > 1 && depth < 256; ++depth) {
    if (at == ancestor) return true;
    const auto it = table.find(at);
    if (it == table.end()) return false;
    at = it->second.parent;
  }
  return false;
}

// Z is also the state of a process whose main thread has ended while others run: only the handle knows.
bool alive(const os::ProcessInfo& info) {
  if (info.state != 'Z' && info.state != 'X') return true;
  const auto process = os::Process::open_pid(info.identity.pid);
  if (!process) return process.error().code != Code::gone && process.error().code != Code::not_found;
  return process->identity() == info.identity && !process->exited();
}

Member member_of(const os::ProcessInfo& info, std::string found_by) {
  return {.identity = info.identity, .name = info.name, .state = info.state, .found_by = std::move(found_by)};
}

// How a process is known to belong to the run by itself; "" when it is not.
Result<std::string> claim(const Table& table, const os::ProcessInfo& info, const Known& known) {
  if (std::ranges::find(known.recorded, info.identity) != known.recorded.end()) return "ledger";
  TRY(const std::optional<std::string> mark, os::environment_value(info.identity.pid, run_variable));
  if (mark == known.run.str()) return "environment";
  if (known.guardian && present(table, *known.guardian) && descends_from(table, info, known.guardian->pid)) {
    return "descent";
  }
  return "";
}

}  // namespace

Provided provided(Wish wish) {
  Provided group{.mask = BULKHEAD_CONTAIN_GROUP, .mechanism = "process group + subreaper"};
  if (wish == Wish::process_group) {
    group.obstacle = "not wanted";
    return group;
  }
  auto base = Cgroup::base();
  if (!base) {
    group.obstacle = base.error().what;
    return group;
  }
  return {.mask = BULKHEAD_CONTAIN_GROUP | BULKHEAD_CONTAIN_TREE, .mechanism = "cgroup v2", .cgroup_base = *base};
}

namespace {

// Who the kernel lists in the run's cgroup; looked up one by one, since they may be younger than the table.
Result<void> add_cgroup_members(const Known& known, std::vector<Member>& found) {
  if (known.cgroup.empty()) return {};
  TRY(const std::vector<std::int64_t> pids, Cgroup(known.cgroup).pids());
  for (const std::int64_t pid : pids) {
    if (pid <= 1) continue;  // 0: a member in a pid namespace that is not below ours
    const auto info = os::process_info(pid);
    if (!info && info.error().code != Code::gone) return std::unexpected(info.error());
    if (!info || !alive(*info)) continue;
    const auto same = std::ranges::find_if(found, [&](const Member& m) { return m.identity == info->identity; });
    if (same == found.end()) found.push_back(member_of(*info, "cgroup"));
  }
  return {};
}

// The kernel says that the cgroup is populated although no member could be seen: somebody is just being born or dying.
Result<bool> cgroup_empty(const Known& known) {
  if (known.cgroup.empty()) return true;
  TRY(const Cgroup::Occupancy occupancy, Cgroup(known.cgroup).occupancy());
  return occupancy == Cgroup::Occupancy::empty;
}

}  // namespace

Result<std::vector<Member>> members(const Known& known) {
  TRY(const Table table, snapshot());
  TRY(const os::Identity self, os::Process::self());
  std::vector<Member> found;
  // A group's number is only evidence while somebody who is known to be ours holds it: its leader (also as a zombie,
  // which keeps the number from being used again) or a member found otherwise.
  bool group_is_ours = known.leader && present(table, *known.leader);
  for (const auto& [pid, info] : table) {
    if (pid <= 1 || info.identity == self || info.identity == known.guardian) continue;
    if (!alive(info)) continue;
    TRY(const std::string found_by, claim(table, info, known));
    if (found_by.empty()) continue;
    if (known.leader && info.group == known.leader->pid) group_is_ours = true;
    found.push_back(member_of(info, found_by));
  }
  CHECKED(add_cgroup_members(known, found));
  if (!group_is_ours) return found;
  for (const auto& [pid, info] : table) {
    const bool listed = std::ranges::any_of(found, [&](const Member& m) { return m.identity == info.identity; });
    if (pid <= 1 || listed || info.group != known.leader->pid || info.identity == self || !alive(info)) continue;
    found.push_back(member_of(info, "group"));
  }
  return found;
}

namespace {

void note_ended(Sweep& sweep, const Member& member) {
  const bool known = std::ranges::any_of(sweep.ended, [&](const Member& m) { return m.identity == member.identity; });
  if (!known) sweep.ended.push_back(member);
}

// One round: kill whoever is there, wait a little for their ends.
void kill_round(const std::vector<Member>& present, Sweep& result, Deadline deadline) {
  std::vector<std::pair<os::Process, Member>> killed;
  for (const Member& member : present) {
    auto process = os::Process::open(member.identity);
    if (!process) {
      if (process.error().code == Code::gone) {
        note_ended(result, member);
      } else {
        result.obstacle = process.error().what;
      }
      continue;
    }
    const auto sent = process->signal(os::Signal::kill);
    if (!sent && sent.error().code != Code::gone) result.obstacle = sent.error().what;
    killed.emplace_back(*std::move(process), member);
  }
  // Long enough for an ordinary exit; a process that lingers (its memory is being torn down) is looked at again.
  const Deadline patience = std::min(deadline, Clock::now() + milliseconds{100});
  for (const auto& [process, member] : killed) {
    if (process.wait(patience)) note_ended(result, member);
  }
}

// As the guardian, everything of the run that loses its parent becomes our child: killing those directly is much faster
// than a look at the whole table, and outruns processes that start the next and exit.
void kill_own_children(const os::Identity& self, Sweep& result, Deadline deadline) {
  constexpr int rounds = 50;
  constexpr std::size_t most_told = 200;
  for (int round = 0; round < rounds && Clock::now() < deadline; ++round) {
    std::size_t killed = 0;
    for (const std::int64_t pid : os::own_children()) {
      const auto process = os::Process::open_pid(pid);
      const auto info = os::process_info(pid);
      if (!process || !info || info->parent != self.pid || info->identity != process->identity()) continue;
      if (process->exited() || !process->signal(os::Signal::kill)) continue;
      if (result.ended.size() < most_told) note_ended(result, member_of(*info, "descent"));
      ++killed;
    }
    if (killed == 0) return;
  }
}

}  // namespace

Sweep sweep(const Known& known, Deadline deadline) {
  constexpr milliseconds between_looks{5};
  Sweep result;
  const auto self = os::Process::self();
  int empty_looks = 0;
  for (;;) {
    auto present = members(known);
    auto empty = cgroup_empty(known);
    const bool late = Clock::now() >= deadline;
    if (!present || !empty) {
      // Nobody could be seen, which is not the same as nobody being there.
      result.obstacle = !present ? present.error().what : empty.error().what;
      if (late) {
        result.survivors.push_back(
            {.identity = known.leader.value_or(os::Identity{}), .name = "?", .found_by = "ledger"});
        return result;
      }
      std::this_thread::sleep_for(between_looks);
      continue;
    }
    if (present->empty() && *empty) {
      if (++empty_looks == 2) return result;
      continue;
    }
    empty_looks = 0;
    if (late) {
      result.survivors = *std::move(present);
      return result;
    }
    if (!known.cgroup.empty()) {
      if (auto killed = Cgroup(known.cgroup).kill(); !killed) result.obstacle = killed.error().what;
    }
    std::ranges::partition(*present, [&](const Member& m) { return known.leader && m.identity == *known.leader; });
    kill_round(*present, result, deadline);
    if (self && known.guardian == *self) kill_own_children(*self, result, deadline);
    if (present->empty()) std::this_thread::sleep_for(between_looks);
  }
}

}  // namespace bulkhead::contain
