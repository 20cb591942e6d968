#include <algorithm>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "contain/cgroup.hpp"
#include "daemon/orphans.hpp"
#include "e2e/neighbour.hpp"
#include "os/paths.hpp"
#include "store/ledger.hpp"
#include "support/canary.hpp"

using namespace bulkhead::e2e;
namespace support = bulkhead::support;
using bulkhead::daemon::Grounds;
using bulkhead::daemon::Orphan;
using bulkhead::daemon::Repair;
namespace store = bulkhead::store;
namespace fs = std::filesystem;

namespace {

using Orphans = std::vector<Orphan>;

// What the daemon of a home would see and do: this test, while no daemon serves it. In the end one does again.
class Repairer {
 public:
  explicit Repairer(const HostUnderTest& host) : Repairer(host, host.home()) {}
  Repairer(const HostUnderTest& host, const fs::path& home)
      : host_(host), store_(*store::Store::open(home)), runtime_(only_folder(host)) {
    if (auto base = bulkhead::contain::Cgroup::base()) base_ = *base;
  }
  Repairer(const Repairer&) = delete;
  Repairer& operator=(const Repairer&) = delete;
  ~Repairer() { host_.bulkhead({"host", "start"}); }
  Grounds grounds() const { return {.store = store_, .runtime_directory = runtime_, .cgroup_base = base_}; }
  Orphans survey() const {
    auto orphans = bulkhead::daemon::survey(grounds(), {});
    INFO((orphans ? "" : orphans.error().what));
    REQUIRE(orphans);
    return *orphans;
  }
  Repair reap(const Orphan& orphan) const {
    return bulkhead::daemon::reap(grounds(), {}, orphan, bulkhead::Clock::now() + support::generous);
  }
  Repair clear(const Orphan& orphan) const { return bulkhead::daemon::clear(grounds(), {}, orphan); }
  const fs::path& runtime() const { return runtime_; }

 private:
  // The test has no part in how it is named.
  static fs::path only_folder(const HostUnderTest& host) {
    for (const auto& entry : fs::directory_iterator(host.runtime() / "bulkhead")) return entry.path();
    return {};
  }
  const HostUnderTest& host_;
  store::Store store_;
  fs::path runtime_;
  fs::path base_;
};

bool lists(const Orphan& orphan, std::int64_t pid) {
  return std::ranges::any_of(orphan.processes, [&](const auto& m) { return m.identity.pid == pid; });
}

// A VM that runs, and that nothing of its home tells of any more; without a daemon.
struct Abandoned {
  explicit Abandoned(const HostUnderTest& host, const Json& spec) {
    host.run_vm(spec);
    const std::string name = spec.at("name");
    run = host.run_of(name);
    leader = host.leader(name);
    agent = host.agent(name);
    kill_hard(host.daemon());
    fs::remove_all(host.vm_directory(name));
  }
  bool lives() const { return support::alive(leader) && support::alive(agent); }
  std::string run;
  std::int64_t leader;
  std::int64_t agent;
};

struct End {
  std::string run;
  ~End() { support::end_all(run); }
};

std::string told(const Repair& repair) { return to_json(repair).dump(2); }

}  // namespace

TEST_CASE("C01: a VM whose folder was removed while it ran is found, and ended with proof; another VM is not touched") {
  const HostUnderTest host(GENERATE(from_range(containments())));
  host.run_vm(host.firmware("neighbour"));
  const auto neighbour = host.leader("neighbour");
  const Abandoned vm(host, host.firmware("fw"));
  const End end{vm.run};
  const Repairer repairer(host);

  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 1);
  const Orphan& orphan = orphans[0];
  INFO(to_json(orphan).dump(2));
  CHECK(orphan.run == vm.run);
  CHECK(lists(orphan, vm.leader));
  CHECK(lists(orphan, vm.agent));
  CHECK(orphan.directory.filename() == vm.run.substr(0, 8));
  CHECK(orphan.lock == host.vm_directory("fw") / "run.lock");
  CHECK(orphan.keep.empty());
  CHECK(vm.lives());

  const Repair repair = repairer.reap(orphan);
  INFO(told(repair));
  CHECK(repair.done);
  CHECK(repair.ended.size() >= 2);
  CHECK(repair.evidence.size() >= 2);
  CHECK(support::census("BULKHEAD_RUN=" + vm.run).empty());
  CHECK_FALSE(fs::exists(orphan.directory));
  CHECK((orphan.cgroup.empty() || !fs::exists(orphan.cgroup)));
  CHECK(repairer.survey().empty());
  CHECK(support::alive(neighbour));
  CHECK(host.state("neighbour") == "running");
  CHECK(host.leader("neighbour") == neighbour);
}

TEST_CASE("C01: what lives on after its ledger has ended is found; a look and a clearing end nobody") {
  const HostUnderTest host;
  host.run_vm(host.process("p", {"say", "ready"}));
  const std::string run = host.run_of("p");
  const auto leader = host.leader("p");
  kill_hard(host.daemon());
  const Repairer repairer(host);
  CHECK(repairer.survey().empty());
  {
    auto ledger = store::Ledger::open(host.vm_directory("p") / "ledger.jsonl");
    REQUIRE(ledger);
    REQUIRE(ledger->append(store::record::end()));
  }
  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 1);
  const Repair cleared = repairer.clear(orphans[0]);
  CHECK_FALSE(cleared.done);
  CHECK(contains(cleared.why, "still alive"));
  CHECK(support::alive(leader));
  CHECK(fs::exists(orphans[0].directory));

  const auto current = bulkhead::RunId::parse(run);
  REQUIRE(current);
  const auto spared = bulkhead::daemon::survey(repairer.grounds(), {*current});
  REQUIRE(spared);
  CHECK(spared->empty());
  CHECK_FALSE(bulkhead::daemon::reap(repairer.grounds(), {*current}, orphans[0], bulkhead::Clock::now()).done);
  CHECK(support::alive(leader));

  CHECK(repairer.reap(orphans[0]).done);
  CHECK(host.members(run).empty());
}

TEST_CASE("C01: who cleared his environment is an orphan too where the kernel keeps him in") {
  const HostUnderTest host;
  host.create(host.process("other", {"say", "ready"}));
  if (host.mechanism() == "process-group") SKIP_BECAUSE("here he escapes (docs/containment.md)");
  const Abandoned vm(host, host.process("p", {"nameless-daemon", "say", "ready"}));
  const End end{vm.run};
  const Repairer repairer(host);
  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 1);
  const Repair repair = repairer.reap(orphans[0]);
  INFO(told(repair));
  CHECK(repair.done);
  std::vector<std::int64_t> nameless;
  for (const auto& member : orphans[0].processes) {
    if (member.found_by != "environment") nameless.push_back(member.identity.pid);
  }
  CHECK_FALSE(nameless.empty());
  // An init goes when the last zombie in its namespace does.
  for (const std::int64_t pid : nameless) CHECK(eventually([&] { return !support::alive(pid); }));
}

TEST_CASE("C12: while a VM is lost, nothing that could be its own is ended") {
  const HostUnderTest host;
  host.run_vm(host.firmware("lost"));
  const auto lost = host.leader("lost");
  const Abandoned vm(host, host.firmware("fw"));
  const End end{vm.run};
  const auto ledger = host.vm_directory("lost") / "ledger.jsonl";
  const std::string sound = support::read_text(ledger);
  support::write_text(ledger, "damaged\n" + sound);
  const Repairer repairer(host);
  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 2);
  for (const Orphan& orphan : orphans) {
    CHECK(contains(orphan.keep, "'lost'"));
    const Repair repair = repairer.reap(orphan);
    CHECK_FALSE(repair.done);
    CHECK(repair.why == orphan.keep);
    CHECK(repair.ended.empty());
  }
  CHECK(vm.lives());
  CHECK(support::alive(lost));

  support::write_text(ledger, sound);
  const Orphans resolved = repairer.survey();
  REQUIRE(resolved.size() == 1);
  CHECK(repairer.reap(resolved[0]).done);
  CHECK(support::alive(lost));
}

TEST_CASE("I2: what belongs to another home is never listed: not its runs, its cgroups, nor a copied home's") {
  const HostUnderTest host;
  const HostUnderTest other;
  const Abandoned vm(other, other.firmware("fw"));
  const End end{vm.run};
  host.create(host.process("p", {"say", "ready"}));
  kill_hard(host.daemon());
  CHECK(Repairer(host).survey().empty());

  const fs::path copy = other.folder() / "copy";
  fs::copy(other.home(), copy, fs::copy_options::recursive | fs::copy_options::skip_existing);
  const Repairer copied(other, copy);
  for (const Orphan& orphan : copied.survey()) {
    CHECK(orphan.processes.empty());
    CHECK(orphan.cgroup.empty());
  }

  const Repairer own(other);
  const Orphans orphans = own.survey();
  REQUIRE(orphans.size() == 1);
  CHECK_FALSE(Repairer(host).reap(orphans[0]).ended.size() > 0);
  CHECK(vm.lives());
  CHECK(own.reap(orphans[0]).done);
}

TEST_CASE("I2: a process that only mentions a run, or sees another home at the path, is none of it") {
  const HostUnderTest host;
  host.create(host.process("p", {"say", "ready"}));
  kill_hard(host.daemon());
  const Repairer repairer(host);
  const auto mark = store::Store::open(host.home())->mark();
  REQUIRE(mark);
  const std::string run = "0123456789abcdef";
  const auto child = [&](const std::map<std::string, std::string>& env, Words words) {
    words.insert(words.begin(), "say");
    words.insert(words.begin() + 1, "ready");
    return support::Command{.program = TEST_CHILD, .arguments = std::move(words), .env = env};
  };
  const Program mentions(child({{"TEST", host.folder().string()}}, {"args", "BULKHEAD_RUN=" + run}));
  const Program other_home(
      child({{"BULKHEAD_RUN", run}, {"BULKHEAD_HOME_MARK", "0123456789abcdef /somewhere/else"}}, {}));
  const Program no_home(child({{"BULKHEAD_RUN", run}}, {}));
  const Program no_run(child({{"BULKHEAD_RUN", "all"}, {"BULKHEAD_HOME_MARK", *mark}}, {}));
  CHECK(repairer.survey().empty());

  if (::geteuid() == 0) {
    // As in a container that was made with a copy of this home.
    const std::string script = "mount -t tmpfs none \"$1\" && touch \"$2\" && exec \"$3\"";
    support::Command contained{
        .program = "/usr/bin/unshare",
        .arguments = {"--mount", "/bin/sh", "-c", script, "sh", host.home().string(),
                      (host.folder() / "inside").string(), TEST_CHILD},
        .env = {{"PATH", "/usr/bin:/bin:/usr/sbin:/sbin"}, {"BULKHEAD_RUN", run}, {"BULKHEAD_HOME_MARK", *mark}}};
    const Program elsewhere(std::move(contained));
    REQUIRE(eventually([&] { return fs::exists(host.folder() / "inside"); }));
    CHECK(repairer.survey().empty());
    CHECK(support::alive(elsewhere.pid()));
  }

  {
    const std::string earlier = "0123456789abcdef" + mark->substr(mark->find(' '));
    const Program of_earlier_home(child({{"BULKHEAD_RUN", run}, {"BULKHEAD_HOME_MARK", earlier}}, {}));
    Orphans kept;
    REQUIRE(eventually([&] { return !(kept = repairer.survey()).empty(); }));
    CHECK(lists(kept[0], of_earlier_home.pid()));
    CHECK(contains(kept[0].keep, "another home that was at this path"));
    CHECK_FALSE(repairer.reap(kept[0]).done);
    CHECK(support::alive(of_earlier_home.pid()));
  }

  // The same in this home's sight is one.
  const Program own(child({{"BULKHEAD_RUN", run}, {"BULKHEAD_HOME_MARK", *mark}}, {}));
  Orphans orphans;
  REQUIRE(eventually([&] { return !(orphans = repairer.survey()).empty(); }));
  CHECK(lists(orphans[0], own.pid()));
  CHECK_FALSE(lists(orphans[0], mentions.pid()));
}

TEST_CASE("I2: what a home that was at this path left is ended only when that home is proved to be gone") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string run = host.run_of("fw");
  const End end{run};
  const auto leader = host.leader("fw");
  kill_hard(host.daemon());
  const fs::path moved = host.folder() / "moved";
  fs::rename(host.home(), moved);
  const Repairer repairer(host);
  const Orphans kept = repairer.survey();
  REQUIRE(kept.size() == 1);
  CHECK(contains(kept[0].keep, moved.string()));
  CHECK_FALSE(repairer.reap(kept[0]).done);
  CHECK(support::alive(leader));

  fs::remove_all(moved);
  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 1);
  CHECK(orphans[0].keep.empty());
  const Repair repair = repairer.reap(orphans[0]);
  INFO(told(repair));
  CHECK(repair.done);
  CHECK_FALSE(support::alive(leader));
}

namespace {

void use_pid_again() {
  const support::TempDir folder;
  const fs::path home = folder / "h";
  const auto store = store::Store::open(home);
  REQUIRE(store);
  const auto mark = store->mark();
  REQUIRE(mark);
  const Grounds grounds{.store = *store, .runtime_directory = folder / "r"};
  Orphans orphans;
  {
    const Program orphan({.program = TEST_CHILD,
                          .arguments = {"fork", "1"},
                          .env = {{"BULKHEAD_RUN", "0123456789abcdef"}, {"BULKHEAD_HOME_MARK", *mark}}});
    REQUIRE(eventually([&] {
      const auto looked = bulkhead::daemon::survey(grounds, {});
      REQUIRE(looked);
      orphans = *looked;
      return orphans.size() == 1 && orphans[0].processes.size() == 2;
    }));
    support::end_all("BULKHEAD_RUN=0123456789abcdef");
  }
  const support::Canary canary(orphans[0].processes[0].identity.pid, TEST_CHILD, folder / "canary");
  const Repair repair = bulkhead::daemon::reap(grounds, {}, orphans[0], bulkhead::Clock::now() + support::generous);
  INFO(told(repair));
  CHECK(repair.done);
  CHECK(repair.ended.empty());
  CHECK(canary.lives());
}

}  // namespace

TEST_CASE("I1: whoever gets the pid of an orphan between the look and the repair is hit by nothing") {
  if (support::Cage::inside()) {
    use_pid_again();
    return;
  }
  if (const std::string why = support::Cage::obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const Finished finished = support::Cage::run_this_case();
  INFO(finished.out << finished.err);
  CHECK(finished.code == 0);
}

TEST_CASE("X03: of leftover run directories only those are removed that a run could have made, and that are deserted") {
  const HostUnderTest host;
  host.create(host.process("p", {"say", "ready"}));
  kill_hard(host.daemon());
  const Repairer repairer(host);
  const fs::path outside = host.folder() / "outside";
  const auto make = [&](const std::string& name) {
    const fs::path folder = repairer.runtime() / name;
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms::owner_all);
    return folder;
  };
  const auto socket_at = [](const fs::path& path) {
    const int handle = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(handle, 1) == 0);
    return handle;
  };
  fs::create_directory(outside);
  support::write_text(outside / "precious", "text");
  const fs::path dead = make("00000001");
  ::close(socket_at(dead / "agent.sock"));
  support::write_text(dead / "qemu.log", "text");
  fs::create_directories(dead / "work" / "deep");
  fs::create_symlink(outside, dead / "work" / "link");
  const fs::path linked = repairer.runtime() / "00000002";
  fs::create_symlink(outside, linked);
  const fs::path with_link = make("00000003");
  fs::create_symlink(outside, with_link / "agent.sock");
  const fs::path with_guest = make("00000004");
  support::write_text(with_guest / "My notes.txt", "text");
  const fs::path served = make("00000005");
  const int server = socket_at(served / "agent.sock");
  const fs::path shared = make("00000006");
  fs::permissions(shared, fs::perms::all);
  const fs::path no_run = make("deadbee");

  const Orphans orphans = repairer.survey();
  std::vector<std::string> seen;
  for (const Orphan& orphan : orphans) {
    INFO(to_json(orphan).dump(2));
    REQUIRE(orphan.processes.empty());
    REQUIRE(orphan.cgroup.empty());
    seen.push_back(orphan.directory.filename());
    CHECK(orphan.keep.empty() == (orphan.directory == dead));
    CHECK(repairer.reap(orphan).done == (orphan.directory == dead));
  }
  std::ranges::sort(seen);
  CHECK(seen == std::vector<std::string>{"00000001", "00000003", "00000004", "00000005", "00000006"});
  CHECK_FALSE(fs::exists(dead));
  for (const fs::path& kept : {linked, with_link, with_guest, served, shared, no_run}) CHECK(fs::exists(kept));
  CHECK(support::read_text(outside / "precious") == "text");
  ::close(server);
  for (const fs::path& kept : {linked, with_link, with_guest, served, shared, no_run}) fs::remove_all(kept);
}

TEST_CASE("C01: an empty cgroup that this home made is removed, one of another home is not") {
  const HostUnderTest host(Containment::cgroup);
  if (run_elsewhere(Containment::cgroup)) SKIP_BECAUSE("run on another containment");
  if (const auto base = bulkhead::contain::Cgroup::base(); !base) SKIP_BECAUSE(base.error().what);
  host.create(host.process("p", {"say", "ready"}));
  kill_hard(host.daemon());
  const Repairer repairer(host);
  const fs::path base = repairer.grounds().cgroup_base;
  const bulkhead::contain::Cgroup own(base / bulkhead::RunId::random().str());
  const bulkhead::contain::Cgroup others(base / bulkhead::RunId::random().str());
  const bulkhead::contain::Cgroup unsigned_one(base / bulkhead::RunId::random().str());
  for (const auto* cgroup : {&own, &others, &unsigned_one}) REQUIRE(cgroup->create());
  REQUIRE(own.sign(*store::Store::open(host.home())->mark()));
  REQUIRE(others.sign("0123456789abcdef /somewhere/else"));
  const Orphans orphans = repairer.survey();
  REQUIRE(orphans.size() == 1);
  CHECK(orphans[0].cgroup == own.path());
  CHECK(repairer.clear(orphans[0]).done);
  CHECK_FALSE(fs::exists(own.path()));
  CHECK(fs::exists(others.path()));
  CHECK(fs::exists(unsigned_one.path()));
  CHECK(others.remove());
  CHECK(unsigned_one.remove());
}
