#include <csignal>
#include <sstream>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

// A guest that does not heed the request to shut down, and may take this long.
Json deaf(const std::string& name, const std::string& grace) {
  Json spec = HostUnderTest::firmware(name, "ignore");
  spec["stop"] = {{"grace_period", grace}};
  return spec;
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

// As a shell runs it, with `bulkhead` in the PATH.
Finished shell(const HostUnderTest& host, const std::string& script, std::map<std::string, std::string> env = {}) {
  support::Command command = host.command("/bin/bash", {"-c", script});
  for (auto& [key, value] : env) command.env[key] = value;
  return support::run(std::move(command));
}

// The same on a terminal of its own.
Finished on_terminal(const HostUnderTest& host, const std::string& line, std::map<std::string, std::string> env = {}) {
  env.try_emplace("TERM", "xterm");
  return shell(host, "script -qec " + quoted(line) + " /dev/null </dev/null", std::move(env));
}

// bulkhead WORDS beside the test; what it says on standard error can be read while it runs.
struct Beside {
  Beside(const HostUnderTest& host, const std::string& words)
      : said(host.folder() / "said.txt"),
        program(host.command("/bin/bash", {"-c", "exec bulkhead " + words + " 2>" + quoted(said.string())})) {}
  bool says(const std::string& text) const {
    return eventually([&] { return contains(support::read_text(said), text); });
  }
  fs::path said;
  Program program;
};

std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> documents;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) documents.push_back(Json::parse(line));
  return documents;
}

}  // namespace

TEST_CASE("CLI: several VMs are started, stopped, restarted and removed at once, and each is told of") {
  const HostUnderTest host;
  for (const char* name : {"a", "b", "c"}) host.create(host.firmware(name));

  const Json started = host.ok({"start", "a", "b", "a"});
  REQUIRE(started.size() == 2);
  for (const Json& vm : started) CHECK(vm.at("state") == "running");
  CHECK(host.state("c") == "stopped");
  CHECK(host.ok({"start", "--all"}).size() == 1);

  const auto pid = host.leader("a");
  CHECK(host.ok({"restart", "a", "--force"}).at("state") == "running");
  CHECK(host.leader("a") != pid);

  const Finished stopped = host.bulkhead({"stop", "--all", "--force"});
  CHECK(stopped.code == 0);
  CHECK(support::occurrences(stopped.out, "is stopped: rung 'force'") == 3);
  CHECK(support::occurrences(stopped.out, "\n") == 3);
  CHECK(stopped.err.empty());
  CHECK(host.ok({"stop", "--all"}) == Json::array());

  const Json removed = host.ok({"remove", "--all"});
  CHECK(removed.size() == 3);
  CHECK(host.ok({"list"}).at("vms").empty());
}

TEST_CASE("CLI: what cannot be done for one VM is told, done for the others, and is the exit code") {
  const HostUnderTest host;
  host.create(host.firmware("a"));
  const Finished mixed = host.bulkhead({"start", "a", "nobody"});
  CHECK(mixed.code == 1);
  CHECK(mixed.out == "'a' is running\n");
  CHECK(contains(mixed.err, "'nobody'"));

  const Finished json = host.bulkhead({"stop", "nobody", "a", "--force", "--json"});
  CHECK(json.code == 1);
  const Json both = Json::parse(json.out);
  CHECK(both.at(0).at("vm") == "nobody");
  CHECK(both.at(0).at("error").at("code") == "not_found");
  CHECK(both.at(1).at("outcome") == "stopped");
}

TEST_CASE("CLI: run creates and starts, starts what is there, leaves alone what runs, and refuses another spec") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  const std::string file = host.write_spec(spec).string();
  CHECK(host.ok({"run", file}).at("state") == "running");
  const auto pid = host.leader("fw");

  const Finished again = host.bulkhead({"run", file});
  CHECK(again.code == 0);
  CHECK(again.out == "'fw' runs already\n");
  CHECK(host.leader("fw") == pid);

  spec["cpus"] = 2;
  host.write_spec(spec);
  const Json error = host.failing(3, {"run", file});
  CHECK(error.at("problems").at(0).at("pointer") == "/cpus");
  CHECK(contains(error.at("hint"), "bulkhead edit fw"));
  CHECK(contains(error.at("hint"), "bulkhead remove fw"));
  CHECK(host.leader("fw") == pid);

  host.ok({"stop", "--force", "fw"});
  spec["cpus"] = 1;
  host.write_spec(spec);
  CHECK(host.ok({"run", file}).at("state") == "running");
}

TEST_CASE("CLI: validate checks the driver's options too, and creates nothing") {
  const HostUnderTest host;
  Json wrong = host.firmware("wrong");
  wrong["options"]["accelerator"] = "kvn";
  const std::string bad = host.write_spec(wrong).string();
  const std::string good = host.write_spec(host.firmware("good")).string();
  CHECK(host.bulkhead({"validate", good}).out == good + ": good\n");
  const Finished both = host.bulkhead({"validate", good, bad});
  CHECK(both.code == 3);
  CHECK(contains(both.err, "/options/accelerator"));
  CHECK(contains(both.err, "did you mean \"kvm\"?"));
  CHECK(host.bulkhead({"validate", "/no/such/file"}).code == 1);
  CHECK(host.ok({"list"}).at("vms").empty());
  // A spec of a VM that there is can be checked as well.
  host.create(host.firmware("good"));
  CHECK(host.bulkhead({"validate", good}).code == 0);
}

TEST_CASE("CLI: wait returns when the VM is there, gives up in time, and tells why it will never be") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  {
    const auto waits = host.begin({"wait", "fw", "--for", "running"});
    host.start("fw");
    CHECK(waits->wait().code == 0);
  }
  CHECK(host.failing(4, {"wait", "fw", "--for", "stopped", "--timeout", "300ms"}).at("code") == "timed_out");
  {
    const auto waits = host.begin({"wait", "fw", "--for", "stopped"});
    host.ok({"stop", "--force", "fw"});
    CHECK(waits->wait().code == 0);
  }
  CHECK(host.failing(1, {"wait", "nobody", "--for", "running"}).at("code") == "not_found");
  {
    const auto waits = host.begin({"wait", "fw", "--for", "removed"});
    host.ok({"remove", "fw"});
    CHECK(waits->wait().code == 0);
  }
  Json broken = host.firmware("broken");
  broken["boot"]["firmware"] = "missing.bin";
  host.create(broken);
  host.failing(3, {"start", "broken"});
  CHECK(contains(host.failing(1, {"wait", "broken", "--for", "stopped"}).at("message"), "failed"));
}

TEST_CASE("CLI: events are listed and followed, each as a document in a line") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const Json before = host.ok({"events"}).at("events");
  REQUIRE_FALSE(before.empty());
  const std::string last = std::to_string(before.back().at("id").get<std::int64_t>());

  const fs::path file = host.folder() / "events.txt";
  Program follows(host.command("/bin/bash", {"-c", "exec bulkhead events --follow --json --vm fw --after " + last +
                                                       " >" + quoted(file.string())}));
  host.start("fw");
  REQUIRE(eventually([&] { return contains(support::read_text(file), "\"to\":\"running\""); }));
  const auto events = json_lines(support::read_text(file));
  for (const Json& event : events) CHECK(event.at("vm") == "fw");
  const Json later = host.ok({"events", "--after", last, "--vm", "fw"}).at("events");
  REQUIRE(later.size() >= events.size());
  CHECK(later.front() == events.front());
  // The end of the daemon is the end of the stream.
  host.ok({"host", "stop", "--timeout", "30s"});
  CHECK(follows.wait().late == false);
}

TEST_CASE("F10: Ctrl-C ends the waiting for a stop and not the stop; a second one forces it") {
  const HostUnderTest host;
  host.run_vm(deaf("a", "10m"));
  host.run_vm(deaf("b", "10m"));
  // Whoever sees that it stops also sees that its client waits.
  {
    Beside stop(host, "stop a");
    REQUIRE(host.reaches("a", "stopping"));
    stop.program.signal(SIGINT);
    CHECK(stop.says("stopping 'a' goes on; Ctrl-C again within 3 s forces it"));
    CHECK(stop.program.wait().code == 130);
    CHECK(host.state("a") == "stopping");
  }
  Beside stop(host, "stop b");
  REQUIRE(host.reaches("b", "stopping"));
  stop.program.signal(SIGINT);
  CHECK(stop.says("forces it"));
  stop.program.signal(SIGINT);
  const Finished finished = stop.program.wait();
  CHECK(contains(support::read_text(stop.said), "forcing it"));
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "'b' is stopped"));
  CHECK(host.state("b") == "stopped");
  CHECK(host.state("a") == "stopping");
  host.ok({"stop", "--force", "a"});
}

TEST_CASE("CLI: who ends the waiting for a document gets one, of what was done and what goes on") {
  const HostUnderTest host;
  host.create(host.firmware("idle"));
  host.run_vm(deaf("fw", "10m"));
  Beside stop(host, "stop idle fw --json");
  REQUIRE(host.reaches("fw", "stopping"));
  stop.program.signal(SIGINT);
  const Finished finished = stop.program.wait();
  CHECK(finished.code == 130);
  const Json both = Json::parse(finished.out);
  CHECK(both.at(0).at("outcome") == "stopped");
  CHECK(both.at(1).at("vm") == "fw");
  CHECK(both.at(1).at("error").at("code") == "cancelled");
  host.ok({"stop", "--force", "fw"});
}

TEST_CASE("CLI: a terminal is shown how far it is and colours, and nobody else") {
  const HostUnderTest host;
  host.run_vm(deaf("fw", "1500ms"));
  CHECK(contains(on_terminal(host, "bulkhead list").out, "\x1b[32mrunning\x1b[0m"));
  CHECK_FALSE(contains(on_terminal(host, "bulkhead list", {{"NO_COLOR", "1"}}).out, "\x1b[32m"));
  CHECK_FALSE(contains(host.bulkhead({"list"}).out, "\x1b"));

  const Finished stopped = on_terminal(host, "bulkhead stop fw");
  CHECK(contains(stopped.out, "\r\x1b[Kstopping 'fw': ask 0 s of 1."));
  CHECK(contains(stopped.out, "\r\x1b[K'fw' is stopped"));

  host.start("fw");
  REQUIRE(eventually([&] { return support::occurrences(host.console("fw"), "READY") == 2; }));
  const Finished silent = host.bulkhead({"stop", "fw"});
  CHECK(silent.err.empty());
  host.start("fw");
  REQUIRE(eventually([&] { return support::occurrences(host.console("fw"), "READY") == 3; }));
  CHECK(contains(host.bulkhead({"stop", "fw", "--verbose"}).err, "stopping 'fw': ask, up to 1."));
}

TEST_CASE("CLI: edit changes a spec, tells what waits for the next start, and never loses a text") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const auto edit = [&](const std::string& editor) {
    return shell(host, "bulkhead edit fw </dev/null", {{"VISUAL", editor}, {"TMPDIR", host.folder().string()}});
  };
  const auto drafts = [&] {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(host.folder())) {
      count += entry.path().filename().string().starts_with("bulkhead-edit-") ? 1U : 0U;
    }
    return count;
  };
  CHECK(edit("true").out == "'fw' is not changed\n");
  const Finished changed = edit("sed -i 's/\"cpus\": 1/\"cpus\": 2/'");
  CHECK(changed.code == 0);
  CHECK(changed.out == "changed 'fw'\nit runs; these wait for its next start:\n  /cpus\n");
  CHECK(host.info("fw").at("spec").at("cpus") == 2);
  CHECK(edit("false").code == 1);
  CHECK(drafts() == 0);

  const Finished wrong = edit("sed -i 's/\"cpus\"/\"cpsu\"/'");
  CHECK(wrong.code == 3);
  CHECK(contains(wrong.err, "did you mean 'cpus'?"));
  CHECK(contains(wrong.err, "your text is in " + host.folder().string()));
  CHECK(drafts() == 1);
  CHECK(host.info("fw").at("spec").at("cpus") == 2);
}

TEST_CASE("CLI: the doctor is content with a sound host, and finds a host.json that is wrong") {
  const HostUnderTest host;
  CHECK(host.ok({"doctor"}).at("healthy") == true);
  support::write_text(host.home() / "host.json", R"({"version": 1, "log": {"levle": "debug"}})");
  const Finished sick = host.bulkhead({"doctor"});
  CHECK(sick.code == 1);
  CHECK(contains(sick.out, "/log/levle"));
  CHECK(contains(sick.out, "did you mean 'level'?"));
  host.ok({"host", "stop"});
  CHECK(host.bulkhead({"doctor"}).code == 1);
  fs::remove(host.home() / "host.json");
}

TEST_CASE("CLI: a support bundle has what helps and no secrets, and replaces nothing") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  spec["options"]["extra_args"] = {"-object", "secret,id=s0,data=hunter2two", "-fw_cfg",
                                   "name=opt/x,string=TOKEN=xyzzy1234"};
  host.run_vm(spec);
  const fs::path file = host.folder() / "bundle.tar.gz";
  const auto unpacked = [&](const Words& words) {
    fs::remove_all(host.folder() / "bulkhead-support");
    fs::remove(file);
    Words all{"support-bundle", file.string()};
    all.insert(all.end(), words.begin(), words.end());
    host.ok(all);
    return shell(host, "cd " + quoted(host.folder().string()) +
                           " && tar xzf bundle.tar.gz && grep -rl -e hunter2two -e xyzzy1234 bulkhead-support");
  };
  const auto has = [&](const std::string& path) { return fs::exists(host.folder() / "bulkhead-support" / path); };

  const Finished found = unpacked({});
  INFO(found.out << found.err);
  CHECK(found.code == 1);  // grep has found none
  for (const char* path :
       {"MANIFEST.json", "versions.json", "doctor.txt", "bulkheadd.log", "api/host.json", "api/events.json",
        "vms/fw/info.json", "vms/fw/vm.json", "vms/fw/ledger.jsonl", "vms/fw/agent.log"}) {
    INFO(path);
    CHECK(has(path));
  }
  CHECK_FALSE(has("vms/fw/console.log"));
  CHECK(contains(support::read_text(host.folder() / "bulkhead-support/MANIFEST.json"), "vms/fw/console.log"));
  CHECK((fs::status(file).permissions() & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);

  const auto size = fs::file_size(file);
  CHECK(host.failing(1, {"support-bundle", file.string()}).at("code") == "exists");
  CHECK(fs::file_size(file) == size);

  unpacked({"--with-console"});
  CHECK(has("vms/fw/console.log"));

  host.ok({"host", "stop", "--timeout", "30s"});
  CHECK(unpacked({}).code == 1);
  CHECK(has("vms/fw/vm.json"));
  CHECK_FALSE(has("api/host.json"));
  CHECK(host.left().empty());  // none was started
}

TEST_CASE("CLI: shells complete commands, options and names of VMs, and no daemon is started for it") {
  const HostUnderTest host;
  host.create(host.firmware("alpha"));
  host.create(host.firmware("beta"));
  host.ok({"host", "stop"});
  const auto bash = [&](const std::string& words) {
    return shell(host, "source <(bulkhead completion bash); COMP_WORDS=(" + words +
                           "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _bulkhead; echo \"${COMPREPLY[*]}\"")
        .out;
  };
  CHECK(bash("bulkhead sto") == "stop\n");
  CHECK(bash("bulkhead host re") == "reload\n");
  CHECK(bash("bulkhead stop ''") == "alpha beta\n");
  CHECK(bash("bulkhead stop alpha b") == "beta\n");
  CHECK(bash("bulkhead wait alpha --for r") == "running removed\n");
  CHECK(bash("bulkhead --output yaml stop --fo") == "--force\n");
  CHECK(bash("bulkhead stop --grace ''") == "\n");
  CHECK(bash("bulkhead completion f") == "fish\n");

  const std::string script = quoted((host.folder() / "completion.zsh").string());
  CHECK(shell(host, "bulkhead completion zsh >" + script + " && zsh -n " + script).code == 0);
  const auto fish = [&](const std::string& line) {
    return shell(host, "fish -c 'bulkhead completion fish | source; complete -C \"" + line + "\"'").out;
  };
  CHECK(contains(fish("bulkhead sto"), "stop\t"));
  CHECK(contains(fish("bulkhead stop al"), "alpha"));
  CHECK(contains(fish("bulkhead host re"), "reload\t"));
  CHECK(contains(fish("bulkhead wait alpha --for "), "removed"));
  CHECK(host.left().empty());
}

TEST_CASE("CLI: a command or option that is not known is a usage error that tells what was meant") {
  const HostUnderTest host;
  const Finished verb = host.bulkhead({"strat", "fw"});
  CHECK(verb.code == 2);
  CHECK(contains(verb.err, "did you mean 'start'?"));
  CHECK(verb.out.empty());
  CHECK(contains(host.bulkhead({"stop", "--forse", "fw"}).err, "did you mean '--force'?"));
  CHECK(host.bulkhead({"stop"}).code == 2);
  CHECK(host.bulkhead({"stop", "fw", "--all"}).code == 2);
  CHECK(host.bulkhead({"list", "--output", "xml"}).code == 2);
  CHECK(host.left().empty());
}

TEST_CASE("CLI: logs are shown from their end and followed, also the daemon's, and are kept when asked for") {
  const HostUnderTest host;
  host.run_vm(host.firmware("fw"));
  const std::string whole = host.bulkhead({"logs", "fw"}).out;
  const std::string last = host.bulkhead({"logs", "fw", "--tail", "1"}).out;
  CHECK(whole.ends_with(last));
  CHECK(support::occurrences(last, "\n") <= 1);
  CHECK(support::occurrences(host.bulkhead({"host", "logs", "--tail", "2"}).out, "\n") == 2);

  const fs::path file = host.folder() / "followed.txt";
  Program follows(
      host.command("/bin/bash", {"-c", "exec bulkhead logs fw --follow --tail 0 >" + quoted(file.string())}));
  host.ok({"stop", "--force", "fw"});
  // It may have begun to follow before or after this.
  for (int i = 0; i < 2; ++i) {
    host.ok({"start", "fw"});
    CHECK(eventually(
        [&] { return support::occurrences(host.console("fw"), "READY") >= static_cast<std::size_t>(i + 2); }));
    host.ok({"stop", "--force", "fw"});
  }
  CHECK(eventually([&] { return contains(support::read_text(file), "READY"); }));
  const Json removed = host.ok({"remove", "fw", "--keep-logs"});
  CHECK(contains(support::read_text(fs::path(removed.at("logs").get<std::string>()) / "console.log"), "READY"));
  CHECK(follows.wait().late == false);
}

TEST_CASE("CLI: host.json is read again when asked for, and results are printed as YAML too") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  support::write_text(host.home() / "host.json", R"({"version": 1, "log": {"level": "debug"}})");
  CHECK(host.ok({"host", "reload"}).at("applied") == Json{"/log/level"});
  CHECK(host.ok({"host", "status"}).at("log_level") == "debug");
  const std::string yaml = host.bulkhead({"list", "--output", "yaml"}).out;
  CHECK(contains(yaml, "name: fw\n"));
  CHECK(contains(yaml, "state: stopped\n"));
  CHECK(contains(host.bulkhead({"info", "nobody", "--output", "yaml"}).out, "code: not_found\n"));
}

TEST_CASE("CLI: a time that is none is a usage error, and no daemon is started for it") {
  const HostUnderTest host;
  for (const Words& words :
       {Words{"stop", "fw", "--grace", "soon"}, Words{"wait", "fw", "--for", "running", "--timeout", "-1s"},
        Words{"host", "stop", "--timeout", "7"}}) {
    const Finished finished = host.bulkhead(words);
    INFO(words.at(0));
    CHECK(finished.code == 2);
    CHECK(contains(finished.err, "30s"));
  }
  CHECK(host.left().empty());
}

TEST_CASE("CLI: a result that cannot be written is no success") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const Finished full = shell(host, "bulkhead info fw --json >/dev/full");
  CHECK(full.code == 1);
  CHECK(contains(full.err, "No space left on device"));
  // Who reads no further has what was wanted.
  const Finished head = shell(host, "set -o pipefail; bulkhead list | true");
  CHECK(head.err.empty());
}

TEST_CASE("CLI: a plan for several VMs tells of the one that there is not, and of the others") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const Finished planned = host.bulkhead({"stop", "nobody", "fw", "--dry-run", "--json"});
  CHECK(planned.code == 1);
  const Json both = Json::parse(planned.out);
  CHECK(both.at(0).at("error").at("code") == "not_found");
  CHECK(both.at(1).at("vm") == "fw");
}

TEST_CASE("CLI: who waits does not start the daemon again that somebody stopped") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const auto waits = host.begin({"wait", "fw", "--for", "running"});
  // A socket that stays is its stream of events: all that comes before is answered at once.
  const std::string folder = "/proc/" + std::to_string(waits->pid()) + "/fd";
  std::string seen;
  int times = 0;
  REQUIRE(eventually([&] {
    const std::string now = shell(host, "readlink " + folder + "/* | grep socket:").out;
    times = !now.empty() && now == seen ? times + 1 : 0;
    seen = now;
    return times == 10;
  }));
  host.ok({"host", "stop"});
  const Finished finished = waits->wait();
  CHECK(finished.code == 1);
  CHECK(contains(finished.err, "bulkheadd"));
  CHECK(host.bulkhead({"host", "status"}).code == 1);
}

TEST_CASE("CLI: with a daemon that hangs, a wait ends in time, and Ctrl-C ends the waiting for a stop") {
  const HostUnderTest host;
  host.run_vm(deaf("fw", "10m"));
  const auto daemon = static_cast<pid_t>(host.daemon());
  struct Frozen {
    pid_t pid;
    ~Frozen() { ::kill(pid, SIGCONT); }
  };
  const auto begun = std::chrono::steady_clock::now();
  {
    Beside stop(host, "stop fw --verbose");
    REQUIRE(stop.says("ask, up to"));
    ::kill(daemon, SIGSTOP);
    const Frozen frozen{daemon};
    CHECK(host.bulkhead({"wait", "fw", "--for", "stopped", "--timeout", "500ms"}).code == 4);
    stop.program.signal(SIGINT);
    CHECK(stop.says("goes on"));
    CHECK(stop.program.wait().code == 130);
  }
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{12});
  host.ok({"stop", "--force", "fw"});
}

TEST_CASE("CLI: what was written is kept when the editor fails") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const Finished crashed =
      shell(host, "bulkhead edit fw </dev/null",
            {{"VISUAL", "f() { echo mine >\"$1\"; kill -9 $$; }; f"}, {"TMPDIR", host.folder().string()}});
  CHECK(crashed.code == 1);
  const auto at = crashed.err.find("your text is in ");
  REQUIRE(at != std::string::npos);
  std::string file = crashed.err.substr(at + 16);
  file.erase(file.find('\n'));
  CHECK(support::read_text(file) == "mine\n");
}

TEST_CASE("CLI: a terminal that can do nothing is sent no control sequence") {
  const HostUnderTest host;
  host.run_vm(deaf("fw", "1500ms"));
  const Finished stopped = on_terminal(host, "bulkhead stop fw", {{"TERM", "dumb"}});
  CHECK(contains(stopped.out, "'fw' is stopped"));
  CHECK_FALSE(contains(stopped.out, "\x1b"));
}

TEST_CASE("CLI: files of any name and kind neither break nor hold up a support bundle") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const fs::path folder = host.home() / "vms" / "fw";
  support::write_text(folder / "b\xff.log", "odd\n");
  support::write_text(folder / "gr\xc3\xb6\xc3\x9f\x65.log", "odd too\n");
  fs::create_symlink("/etc/passwd", folder / "link.log");
  CHECK(shell(host, "mkfifo " + quoted((folder / "pipe.log").string())).code == 0);
  const fs::path file = host.folder() / "bundle.tar.gz";
  host.ok({"support-bundle", file.string()});
  const Finished listed = shell(host, "tar tzf " + quoted(file.string()));
  CHECK(contains(listed.out, "vms/fw/b%FF.log\n"));
  CHECK(contains(listed.out, "vms/fw/gr%C3%B6%C3%9Fe.log\n"));
  CHECK_FALSE(contains(listed.out, "link.log"));
}

TEST_CASE("CLI: a log that is not shown whole is said to be so") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const fs::path log = host.home() / "vms" / "fw" / "agent.log";
  support::write_text(log, std::string((2U << 20), 'x') + "\nend\n");
  const Finished shown = host.bulkhead({"logs", "fw", "--source", "agent"});
  CHECK(shown.out.ends_with("x\nend\n"));
  CHECK(contains(shown.err, log.string()));
  CHECK(host.bulkhead({"logs", "fw", "--source", "agent", "--tail", "1"}).err.empty());
}

TEST_CASE("CLI: JSON cannot control a terminal, and tells in one way whether the daemon runs") {
  const HostUnderTest host;
  const std::string name =
      "\xc2\x9b"
      "31m\x7f";
  const Finished wrong = host.bulkhead({"create", name, "--json"});
  CHECK(wrong.code == 1);
  CHECK_FALSE(contains(wrong.out, "\xc2\x9b"));
  CHECK_FALSE(contains(wrong.out, "\x7f"));
  CHECK(contains(Json::parse(wrong.out).at("error").at("message").get<std::string>(), name));

  const Finished none = host.bulkhead({"host", "status", "--json"});
  CHECK(none.code == 1);
  CHECK(Json::parse(none.out).at("daemon") == "stopped");
  host.ok({"host", "start"});
  CHECK(host.ok({"host", "status"}).at("daemon") == "running");
}

TEST_CASE("CLI: who waits misses nothing that happens while it opens its stream anew") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const auto waits = host.begin({"wait", "fw", "--for", "removed", "--timeout", "20s"});
  const fs::path descriptors = "/proc/" + std::to_string(waits->pid()) + "/fd";
  const auto connected = [&] {
    for (const auto& entry : fs::directory_iterator(descriptors)) {
      std::error_code gone;
      if (contains(fs::read_symlink(entry, gone).string(), "socket:")) return true;
    }
    return false;
  };
  // Its stream: what is asked before is answered sooner than it is seen so often.
  int times = 0;
  REQUIRE(eventually([&] { return (times = connected() ? times + 1 : 0) == 20; }));
  const bool between = eventually([&] {
    if (connected()) return false;
    waits->signal(SIGSTOP);
    if (!connected()) return true;
    waits->signal(SIGCONT);
    return false;
  });
  REQUIRE(between);
  host.ok({"remove", "fw"});
  host.create(host.firmware("fw"));
  waits->signal(SIGCONT);
  CHECK(waits->wait().code == 0);
}
