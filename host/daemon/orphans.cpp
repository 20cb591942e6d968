#include "daemon/orphans.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "contain/cgroup.hpp"
#include "os/endpoint.hpp"
#include "os/file.hpp"
#include "os/lock.hpp"
#include "os/pid_namespace.hpp"
#include "os/process_table.hpp"
#include "store/ledger.hpp"

namespace bulkhead::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t short_run = 8;  // digits of a run that its directory is named after

bool is_real_directory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(path, error));
}

// "ID PATH", as Store::mark has it.
std::string path_in(const std::string& mark) {
  const auto space = mark.find(' ');
  return space == std::string::npos ? "" : mark.substr(space + 1);
}

enum class Whose { others, earlier, ours };  // earlier: of a home that was at this path, and is not this one

struct Trace {
  Whose whose = Whose::others;
  std::vector<std::int64_t> pids{};
  fs::path cgroup{};
};

struct Traces {
  std::map<std::string, Trace> runs{};
  std::vector<fs::path> directories{};
};

// A home of the same path in a container is another one: its processes see that one, and not ours, at the path.
Whose whose(std::int64_t pid, const std::string& mark) {
  const auto theirs = os::environment_value(pid, contain::home_variable);
  if (!theirs || !*theirs || path_in(**theirs) != path_in(mark)) return Whose::others;
  if (!os::sees_the_same(pid, path_in(mark))) return Whose::others;
  return **theirs == mark ? Whose::ours : Whose::earlier;
}

Result<void> trace_processes(const std::string& mark, Traces& traces) {
  TRY(const std::vector<os::ProcessInfo> table, os::process_table());
  TRY(const os::Identity self, os::Process::self());
  for (const os::ProcessInfo& info : table) {
    const std::int64_t pid = info.identity.pid;
    if (pid <= 1 || info.identity == self) continue;
    TRY(const auto seen, os::environment_value(pid, contain::run_variable));
    if (!seen || !RunId::parse(*seen)) continue;
    // Once more while it is held: then all that is said is said of one process.
    const auto process = os::Process::open_pid(pid);
    if (!process) continue;
    TRY(const auto run, os::environment_value(pid, contain::run_variable));
    const Whose owner = whose(pid, mark);
    if (!run || !RunId::parse(*run) || process->exited()) continue;
    Trace& trace = traces.runs[*run];
    trace.whose = std::max(trace.whose, owner);
    trace.pids.push_back(pid);
    if (!trace.cgroup.empty()) continue;
    if (const auto cgroup = contain::Cgroup::around(pid, *run)) trace.cgroup = cgroup->path();
  }
  return {};
}

// All homes of a user have theirs in one place: a cgroup's own word tells them apart.
void trace_cgroups(const fs::path& base, const std::string& mark, Traces& traces) {
  std::error_code error;
  if (base.empty()) return;
  for (fs::directory_iterator it(base, error), end; !error && it != end; it.increment(error)) {
    const std::string run = it->path().filename().string();
    if (!RunId::parse(run) || contain::Cgroup(it->path()).owner() != mark) continue;
    traces.runs[run].whose = Whose::ours;
    traces.runs[run].cgroup = it->path();
  }
}

void trace_directories(const fs::path& runtime, Traces& traces) {
  std::error_code error;
  for (fs::directory_iterator it(runtime, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool hex = name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (name.size() == short_run && hex && is_real_directory(it->path())) traces.directories.push_back(it->path());
  }
}

struct Claims {
  std::set<std::string> runs{};
  std::vector<std::string> lost{};          // VMs whose ledger cannot be read: any run could be theirs
  bool has(const std::string& run) const {  // or the run that a directory is named after
    return std::ranges::any_of(runs, [&](const std::string& one) { return one.starts_with(run); });
  }
};

Result<Claims> claims_of(const store::Store& store, const std::set<RunId>& current) {
  Claims claims;
  for (const RunId& run : current) claims.runs.insert(run.str());
  TRY(const std::vector<VmName> names, store.list());
  for (const VmName& name : names) {
    const auto view = store::Ledger::read(store.paths(name).ledger);
    if (view && view->beginning) {
      if (!view->ended) claims.runs.insert(view->beginning->run.str());
    } else if (view || view.error().code != Code::not_found) {
      claims.lost.push_back(name.str());
    }
  }
  return claims;
}

std::string of_a_lost_vm(const Claims& claims) {
  if (claims.lost.empty()) return {};
  std::string names;
  for (const std::string& name : claims.lost) names += (names.empty() ? "'" : ", '") + name + "'";
  return "it may belong to " + names + ", whose ledger cannot be read";
}

std::string reason_to_keep(const Claims& claims, Whose owner, const std::optional<os::LockInUse>& lock,
                           const std::string& mark) {
  if (lock && !lock->removed()) {
    // HOME/vms/NAME/run.lock
    const fs::path home = lock->path().parent_path().parent_path().parent_path();
    std::error_code error;
    if (home != path_in(mark) && fs::exists(home / "home.id", error)) {
      return "its lock is in another home, '" + home.string() + "'";
    }
  }
  if (std::string lost = of_a_lost_vm(claims); !lost.empty()) return lost;
  if (owner == Whose::earlier && !(lock && lock->removed())) {
    return "another home that was at this path started it, and may have been moved";
  }
  return {};
}

// Its init is looked for among its members: what is in that one's namespace belongs to the run too.
Result<contain::Known> known_of(const RunId& run, const fs::path& cgroup) {
  contain::Known known{.run = run, .cgroup = cgroup.string()};
  TRY(const std::vector<contain::Member> members, contain::members(known));
  for (const contain::Member& member : members) {
    if (!os::PidNamespace::is_init(member.identity.pid)) continue;
    if (!known.init || member.identity.start_time < known.init->start_time) known.init = member.identity;
  }
  if (known.init) known.recorded.push_back(*known.init);
  return known;
}

std::optional<os::LockInUse> lock_of(const std::vector<contain::Member>& members) {
  for (const contain::Member& member : members) {
    if (auto lock = os::LockInUse::of(member.identity.pid, "run.lock")) return lock;
  }
  return std::nullopt;
}

bool could_be_ours(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::path name = entry.path().filename();
  const std::string stem = name.stem().string();
  const std::string suffix = name.extension().string();
  constexpr std::array suffixes{"", ".sock", ".log", ".pid"};
  const bool named = !stem.empty() && stem.size() <= 24 &&
                     stem.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos &&
                     std::ranges::find(suffixes, suffix) != suffixes.end();
  const auto type = entry.symlink_status(error).type();
  return named && (type == fs::file_type::socket || type == fs::file_type::regular || type == fs::file_type::directory);
}

// A run's directory as a run makes it, whose sockets nobody serves any more.
Result<void> check_deserted(const fs::path& directory) {
  const std::string what = "remove '" + directory.string() + "': ";
  if (!is_real_directory(directory)) return {};    // its run has ended meanwhile
  CHECKED(os::make_private_directory(directory));  // it exists: this checks that it is really ours
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!could_be_ours(*it)) return fail(Code::foreign, what + "'" + name + "' in it is not of a run");
    std::error_code ignored;
    if (it->is_socket(ignored) && os::listened_to(it->path())) {
      return fail(Code::busy, what + "somebody listens at '" + name + "' in it");
    }
  }
  if (error) return fail(Code::io, what + error.message());
  return {};
}

Orphan orphan_of(const Grounds& grounds, const Claims& claims, const RunId& run, const Trace& trace,
                 const std::string& mark) {
  Orphan orphan{.run = run.str()};
  if (is_real_directory(trace.cgroup)) orphan.cgroup = trace.cgroup;
  const fs::path directory = grounds.runtime_directory / run.str().substr(0, short_run);
  if (is_real_directory(directory)) orphan.directory = directory;
  const auto known = known_of(run, orphan.cgroup);
  auto members = known ? contain::members(*known) : std::unexpected(known.error());
  if (!members) {
    orphan.keep = members.error().what;
    return orphan;
  }
  orphan.processes = *std::move(members);
  const auto lock = lock_of(orphan.processes);
  if (lock) orphan.lock = lock->path();
  orphan.keep = reason_to_keep(claims, trace.whose, lock, mark);
  return orphan;
}

bool is_nothing(const Orphan& orphan) {
  return orphan.processes.empty() && orphan.cgroup.empty() && orphan.directory.empty() && orphan.keep.empty();
}

}  // namespace

Result<std::vector<Orphan>> survey(const Grounds& grounds, const std::set<RunId>& current) {
  TRY(const std::string mark, grounds.store.mark());
  Traces traces;
  CHECKED(trace_processes(mark, traces));
  trace_cgroups(grounds.cgroup_base, mark, traces);
  trace_directories(grounds.runtime_directory, traces);
  // Read last: a thing is in the ledger before it exists, so what was seen of a run that begins now is claimed.
  TRY(const Claims claims, claims_of(grounds.store, current));
  std::vector<Orphan> orphans;
  for (const auto& [text, trace] : traces.runs) {
    TRY(const RunId run, RunId::parse(text));
    if (trace.whose == Whose::others || claims.has(text)) continue;
    Orphan orphan = orphan_of(grounds, claims, run, trace, mark);
    if (!is_nothing(orphan)) orphans.push_back(std::move(orphan));
  }
  for (const fs::path& directory : traces.directories) {
    const std::string name = directory.filename().string();
    const bool lived_in =
        std::ranges::any_of(traces.runs, [&](const auto& run) { return run.first.starts_with(name); });
    if (lived_in || claims.has(name) || !is_real_directory(directory)) continue;
    Orphan orphan{.run = name, .directory = directory, .keep = of_a_lost_vm(claims)};
    if (const auto deserted = check_deserted(directory); !deserted && orphan.keep.empty()) {
      orphan.keep = deserted.error().what;
    }
    orphans.push_back(std::move(orphan));
  }
  return orphans;
}

namespace {

// As it is now. Nothing: there is nothing of it any more.
Result<std::optional<Orphan>> again(const Grounds& grounds, const std::set<RunId>& current, const Orphan& orphan) {
  TRY(std::vector<Orphan> orphans, survey(grounds, current));
  for (Orphan& one : orphans) {
    if (one.run == orphan.run) return std::move(one);
  }
  TRY(const Claims claims, claims_of(grounds.store, current));
  if (claims.has(orphan.run)) return fail(Code::foreign, "a VM claims it now");
  return std::nullopt;
}

std::string listed(const std::vector<contain::Member>& members) {
  std::string text = std::to_string(members.size()) + " still alive:";
  for (const contain::Member& m : members) text += " " + m.name + " (pid " + std::to_string(m.identity.pid) + ")";
  return text;
}

// Without a kernel's word on all of them, a process that starts the next and exits can slip through a look; it cannot
// slip through many.
Result<void> stays_quiet(const contain::Known& known) {
  constexpr int looks = 12;
  constexpr milliseconds between{20};
  for (int look = 0; look < looks; ++look) {
    std::this_thread::sleep_for(between);
    TRY(const std::vector<contain::Member> members, contain::members(known));
    if (!members.empty()) return fail(Code::busy, listed(members));
  }
  return {};
}

Result<Json> prove(const contain::Known& known, const std::optional<os::LockInUse>& lock) {
  Json evidence = Json::array();
  TRY(const std::vector<contain::Member> members, contain::members(known));
  if (!members.empty()) return fail(Code::busy, listed(members));
  evidence.push_back({{"oracle", "census by run mark"}, {"says", "no process is alive"}});
  TRY(const std::optional<contain::Verdict> verdict, contain::kernel_verdict(known));
  if (verdict && !verdict->empty) return fail(Code::busy, verdict->oracle + ": " + verdict->says);
  if (verdict) {
    evidence.push_back({{"oracle", verdict->oracle}, {"says", verdict->says}});
  } else {
    CHECKED(stays_quiet(known));
    evidence.push_back({{"oracle", "twelve more looks in 240 ms"}, {"says", "nobody came or went"}});
  }
  if (!lock) return evidence;
  if (lock->held()) return fail(Code::busy, "somebody holds the run's lock: " + lock->path().string());
  evidence.push_back({{"oracle", "kernel, of the run's lock"}, {"says", "nobody holds it"}});
  return evidence;
}

void remove_places(const Orphan& orphan, Repair& repair) {
  const auto note = [&repair](const char* kind, const fs::path& path, const Result<void>& removed) {
    const std::string outcome = removed ? "removed" : "kept: " + removed.error().what;
    repair.artifacts.push_back({{"kind", kind}, {"path", path.string()}, {"outcome", outcome}});
    if (!removed && repair.why.empty()) repair.why = removed.error().what;
  };
  if (!orphan.cgroup.empty()) note("cgroup", orphan.cgroup, contain::Cgroup(orphan.cgroup).remove());
  if (!orphan.directory.empty()) {
    auto removed = check_deserted(orphan.directory);
    if (removed) removed = os::remove_tree(orphan.directory);
    note("directory", orphan.directory, removed);
  }
  repair.done = repair.why.empty();
}

enum class Living { are_ended, are_spared };

Repair mend(const Grounds& grounds, const std::set<RunId>& current, const Orphan& wanted, Living living,
            Deadline deadline) {
  Repair repair{.run = wanted.run};
  const auto failed = [&repair](std::string why) {
    repair.why = std::move(why);
    return repair;
  };
  const auto orphan = again(grounds, current, wanted);
  if (!orphan) return failed(orphan.error().what);
  if (!*orphan) {
    repair.done = true;
    return repair;
  }
  if (!(*orphan)->keep.empty()) return failed((*orphan)->keep);
  const auto run = RunId::parse((*orphan)->run);
  if (run) {
    const auto known = known_of(*run, (*orphan)->cgroup);
    if (!known) return failed(known.error().what);
    const auto lock = lock_of((*orphan)->processes);
    if (living == Living::are_ended) {
      contain::Sweep swept = contain::sweep(*known, deadline);
      repair.ended = std::move(swept.ended);
      repair.survivors = std::move(swept.survivors);
      if (!repair.survivors.empty()) return failed(listed(repair.survivors) + " " + swept.obstacle);
    }
    constexpr milliseconds between{20};
    auto proved = prove(*known, lock);
    while (!proved && Clock::now() < deadline) {
      std::this_thread::sleep_for(between);
      proved = prove(*known, lock);
    }
    if (!proved) return failed(proved.error().what);
    repair.evidence = *std::move(proved);
  }
  remove_places(**orphan, repair);
  return repair;
}

}  // namespace

Repair reap(const Grounds& grounds, const std::set<RunId>& current, const Orphan& orphan, Deadline deadline) {
  return mend(grounds, current, orphan, Living::are_ended, deadline);
}

Repair clear(const Grounds& grounds, const std::set<RunId>& current, const Orphan& orphan) {
  return mend(grounds, current, orphan, Living::are_spared, Clock::now());
}

namespace {

Json processes_json(const std::vector<contain::Member>& members) {
  Json list = Json::array();
  for (const contain::Member& m : members) {
    list.push_back({{"pid", m.identity.pid}, {"name", m.name}, {"found_by", m.found_by}});
  }
  return list;
}

}  // namespace

Json to_json(const Orphan& orphan) {
  Json json{{"run", orphan.run}, {"processes", processes_json(orphan.processes)}};
  for (const auto& [key, path] :
       {std::pair{"cgroup", orphan.cgroup}, {"directory", orphan.directory}, {"lock", orphan.lock}}) {
    if (!path.empty()) json[key] = path.string();
  }
  if (!orphan.keep.empty()) json["keep"] = orphan.keep;
  return json;
}

Json to_json(const Repair& repair) {
  Json json{{"run", repair.run},
            {"done", repair.done},
            {"ended", processes_json(repair.ended)},
            {"survivors", processes_json(repair.survivors)},
            {"evidence", repair.evidence},
            {"artifacts", repair.artifacts}};
  if (!repair.why.empty()) json["why"] = repair.why;
  return json;
}

}  // namespace bulkhead::daemon
