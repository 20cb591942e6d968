#include "contain/containment.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <thread>
#include <utility>

#include "bulkhead/driver.h"

#include "contain/cgroup.hpp"
#include "os/pid_namespace.hpp"
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

// Alive or a zombie: it holds its pid. What the table shows can be another process of the same pid and clock tick.
bool present(const Table& table, const os::Identity& identity) {
  const auto it = table.find(identity.pid);
  return it != table.end() && it->second.identity == identity && os::Process::holds_pid(identity);
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

// What the looks at one process need, found out once for all of them.
struct Marks {
  bool guardian_present;
  std::optional<std::uint64_t> pid_namespace;
};

Marks marks_of(const Table& table, const Known& known) {
  Marks marks{.guardian_present = known.guardian && present(table, *known.guardian)};
  if (known.init && present(table, *known.init)) marks.pid_namespace = os::PidNamespace::id_of(known.init->pid);
  // An init in our own namespace is none of a run, whatever the ledger says: else everybody here would be a member.
  if (marks.pid_namespace == os::PidNamespace::own_id()) marks.pid_namespace.reset();
  return marks;
}

bool recorded(const os::ProcessInfo& info, const Known& known) {
  return std::ranges::any_of(known.recorded, [&](const os::Identity& identity) {
    return identity == info.identity && os::Process::holds_pid(identity);  // two can look the same in the table
  });
}

// How a process is known to belong to the run by itself; "" when it is not.
Result<std::string> claim(const Table& table, const os::ProcessInfo& info, const Known& known, const Marks& marks) {
  if (recorded(info, known)) return "ledger";
  if (marks.pid_namespace && os::PidNamespace::holds(*marks.pid_namespace, info.identity.pid)) return "namespace";
  TRY(const std::optional<std::string> mark, os::environment_value(info.identity.pid, run_variable));
  if (mark == known.run.str()) return "environment";
  if (marks.guardian_present && descends_from(table, info, known.guardian->pid)) return "descent";
  return "";
}

constexpr std::array mechanisms{std::pair{Mechanism::cgroup, std::string_view("cgroup")},
                                std::pair{Mechanism::pid_namespace, std::string_view("pid-namespace")},
                                std::pair{Mechanism::process_group, std::string_view("process-group")}};

}  // namespace

std::string_view name(Mechanism mechanism) {
  return std::ranges::find(mechanisms, mechanism, [](const auto& m) { return m.first; })->second;
}

std::optional<Mechanism> mechanism_named(std::string_view name) {
  const auto* const it = std::ranges::find(mechanisms, name, [](const auto& m) { return m.second; });
  if (it == mechanisms.end()) return std::nullopt;
  return it->first;
}

std::uint32_t mask_of(Mechanism mechanism) {
  if (mechanism == Mechanism::process_group) return BULKHEAD_CONTAIN_GROUP;
  return BULKHEAD_CONTAIN_GROUP | BULKHEAD_CONTAIN_TREE;
}

Result<Provided> provide(std::optional<Mechanism> wanted) {
  Provided provided;
  for (const auto& [mechanism, word] : mechanisms) {
    if (wanted && *wanted != mechanism) continue;
    Result<void> possible{};
    if (mechanism == Mechanism::cgroup) {
      auto base = Cgroup::base();
      possible = base ? Result<void>{} : std::unexpected(base.error());
      if (base) provided.cgroup_base = *std::move(base);
    } else if (mechanism == Mechanism::pid_namespace) {
      possible = os::PidNamespace::probe();
    }
    if (possible) {
      provided.mechanism = mechanism;
      return provided;
    }
    if (wanted) return std::unexpected(within("contain by " + std::string(word), possible.error()));
    provided.obstacles.push_back({mechanism, possible.error().what});
  }
  return provided;
}

namespace {

// Who the kernel lists in the run's cgroup; looked up one by one, since they may be younger than the table.
Result<void> add_cgroup_members(const Known& known, std::vector<Member>& found) {
  if (known.cgroup.empty()) return {};
  const Cgroup cgroup(known.cgroup);
  // What is empty by the kernel's word is not looked into: its members may have left it in a state that none can read.
  TRY(const Cgroup::Occupancy occupancy, cgroup.occupancy());
  if (occupancy == Cgroup::Occupancy::empty) return {};
  TRY(const std::vector<std::int64_t> pids, cgroup.pids());
  std::vector<std::pair<os::Process, Member>> held;
  for (const std::int64_t pid : pids) {
    if (pid <= 1) continue;  // 0: a member in a pid namespace that is not below ours
    auto process = os::Process::open_pid(pid);
    if (!process && (process.error().code == Code::gone || process.error().code == Code::not_found)) continue;
    if (!process) return std::unexpected(process.error());
    const auto info = os::process_info(pid);
    if (!info && info.error().code != Code::gone) return std::unexpected(info.error());
    if (!info) continue;
    Member member = member_of(*info, "cgroup");
    member.identity = process->identity();
    held.emplace_back(*std::move(process), std::move(member));
  }
  // Listed again while they are held: then the list is about them, and not about who had their pids before.
  TRY(std::vector<std::int64_t> again, cgroup.pids());
  std::ranges::sort(again);
  for (auto& [process, member] : held) {
    if (!std::ranges::binary_search(again, member.identity.pid) || process.exited()) continue;
    const auto same = std::ranges::find_if(found, [&](const Member& m) { return m.identity == member.identity; });
    if (same == found.end()) found.push_back(std::move(member));
  }
  return {};
}

}  // namespace

namespace {

// Its namespace can only get emptier, and what it still waits for may be zombies: those are looked at one by one.
bool closing(const std::optional<os::Identity>& init) {
  return init && os::PidNamespace::closing(init->pid) && os::Process::holds_pid(*init);
}

}  // namespace

Result<std::optional<Verdict>> kernel_verdict(const Known& known) {
  if (!known.cgroup.empty()) {
    TRY(const Cgroup::Occupancy occupancy, Cgroup(known.cgroup).occupancy());
    const bool empty = occupancy == Cgroup::Occupancy::empty;
    return Verdict{
        .empty = empty, .oracle = "kernel, of the VM's cgroup", .says = empty ? "populated 0" : "populated 1"};
  }
  if (!known.init) return std::nullopt;
  const auto init = os::Process::open(*known.init);
  if (!init && init.error().code != Code::gone) return std::unexpected(init.error());
  Verdict verdict{.oracle = "kernel, of the VM's pid namespace", .says = "its init is alive"};
  if (!init || init->exited()) {
    verdict.empty = true;
    verdict.says = "its init has ended, which is seen only when nobody is left in it";
  } else if (closing(known.init)) {
    TRY(const std::vector<Member> left, members(known));
    verdict.empty = left.empty();
    verdict.says = std::string("its init is dead, nobody can be born in it, ") +
                   (left.empty() ? "and only zombies are left" : "and somebody in it is still alive");
  }
  return verdict;
}

namespace {

// Claimed once more while it is held by a handle: what is said of its pid is then said of it, and not of who gets the
// pid next. Nothing: it has ended meanwhile.
Result<std::optional<Member>> held(const Table& table, const os::ProcessInfo& info, const Known& known,
                                   const Marks& marks) {
  const auto process = os::Process::open_pid(info.identity.pid);
  if (!process) {
    if (process.error().code == Code::gone || process.error().code == Code::not_found) return std::nullopt;
    return std::unexpected(process.error());
  }
  if (process->identity() != info.identity) return std::nullopt;
  TRY(std::string found_by, claim(table, info, known, marks));
  if (found_by.empty() || process->exited()) return std::nullopt;
  Member member = member_of(info, std::move(found_by));
  member.identity = process->identity();
  return member;
}

struct Look {
  std::vector<Member> found{};
  Result<void> complete{};  // an error: somebody may not have been seen
};

Look look(const Known& known) {
  Look seen;
  const auto failed = [&seen](Error error) {
    if (seen.complete) seen.complete = std::unexpected(std::move(error));
  };
  const auto table = snapshot();
  const auto self = os::Process::self();
  if (!table) failed(table.error());
  if (!self) failed(self.error());
  if (!table || !self) return seen;
  const Marks marks = marks_of(*table, known);
  // A group's number is only evidence while somebody who is known to be ours holds it: its leader (also as a zombie,
  // which keeps the number from being used again) or a member found otherwise.
  bool group_is_ours = known.leader && present(*table, *known.leader);
  for (const auto& [pid, info] : *table) {
    if (pid <= 1 || info.identity == *self || info.identity == known.guardian) continue;
    if (!alive(info) || (info.identity == known.init && closing(known.init))) continue;
    const auto found_by = claim(*table, info, known, marks);
    if (!found_by) failed(found_by.error());
    if (!found_by || found_by->empty()) continue;
    const auto member = held(*table, info, known, marks);
    if (!member) failed(member.error());
    if (!member || !*member) continue;
    if (known.leader && info.group == known.leader->pid) group_is_ours = true;
    seen.found.push_back(**member);
  }
  // Who is recorded and not in the table has ended, or /proc does not show him to this user.
  for (const os::Identity& identity : known.recorded) {
    if (table->contains(identity.pid) || identity.pid <= 1) continue;
    const auto process = os::Process::open(identity);
    if (process) {
      seen.found.push_back({.identity = identity, .name = "?", .found_by = "ledger"});
    } else if (process.error().code != Code::gone) {
      failed(process.error());
    }
  }
  if (auto added = add_cgroup_members(known, seen.found); !added) failed(added.error());
  if (!group_is_ours) return seen;
  for (const auto& [pid, info] : *table) {
    const bool listed = std::ranges::any_of(seen.found, [&](const Member& m) { return m.identity == info.identity; });
    if (pid <= 1 || listed || info.group != known.leader->pid || info.identity == *self || !alive(info)) continue;
    const auto process = os::Process::open_pid(pid);
    const auto now = os::process_info(pid);
    if (!process && process.error().code != Code::gone && process.error().code != Code::not_found) {
      failed(process.error());
    }
    // While it is held: still in the group.
    if (!process || !now || now->group != known.leader->pid || process->identity() != info.identity) continue;
    if (process->exited()) continue;
    Member member = member_of(info, "group");
    member.identity = process->identity();
    seen.found.push_back(std::move(member));
  }
  return seen;
}

}  // namespace

Result<std::vector<Member>> members(const Known& known) {
  Look seen = look(known);
  CHECKED(std::move(seen.complete));
  return std::move(seen.found);
}

bool only_init(const Known& known, const std::vector<Member>& members) {
  return std::ranges::all_of(members, [&](const Member& m) { return known.init && m.identity == *known.init; });
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
  // Backwards: the init of a pid namespace was killed first, and ends last.
  for (const auto& [process, member] : killed | std::views::reverse) {
    const auto closing = [&pid = member.identity.pid] { return os::PidNamespace::closing(pid); };
    if (closing() || process.wait(patience) || closing()) note_ended(result, member);
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
    Look seen = look(known);
    const auto verdict = kernel_verdict(known);
    const bool late = Clock::now() >= deadline;
    // Nobody could be seen, which is not the same as nobody being there. Whoever was seen is ended all the same.
    const bool told = seen.complete && verdict;
    if (!told) result.obstacle = !seen.complete ? seen.complete.error().what : verdict.error().what;
    if (told && seen.found.empty() && (!*verdict || (*verdict)->empty)) {
      if (++empty_looks == 2) return result;
      continue;
    }
    empty_looks = 0;
    if (late) {
      result.survivors = std::move(seen.found);
      if (!told && result.survivors.empty()) {
        result.survivors.push_back(
            {.identity = known.leader.value_or(os::Identity{}), .name = "?", .found_by = "ledger"});
      }
      return result;
    }
    if (!known.cgroup.empty()) {
      if (auto killed = Cgroup(known.cgroup).kill(); !killed) result.obstacle = killed.error().what;
    }
    const auto first = known.init ? known.init : known.leader;
    std::ranges::partition(seen.found, [&](const Member& m) { return first && m.identity == *first; });
    kill_round(seen.found, result, deadline);
    if (self && known.guardian == *self) kill_own_children(*self, result, deadline);
    if (seen.found.empty()) std::this_thread::sleep_for(between_looks);
  }
}

}  // namespace bulkhead::contain
