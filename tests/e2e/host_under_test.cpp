#include "e2e/host_under_test.hpp"

#include <cstdlib>
#include <exception>
#include <regex>
#include <signal.h>
#include <sys/stat.h>

#include "support/typist.hpp"

namespace bulkhead::e2e {

namespace fs = std::filesystem;

std::string program_path(const std::string& name) { return (fs::path(BULKHEAD_PROGRAMS) / name).string(); }
std::string guest_file(const std::string& name) { return (fs::path(BULKHEAD_GUESTS) / name).string(); }
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Json rung(const Json& report, const std::string& name) {
  for (const Json& climbed : report.at("rungs")) {
    if (climbed.at("rung") == name) return climbed;
  }
  return {};
}

std::int64_t duration_of(const Json& rung) {
  return rung.at("ended_ms").get<std::int64_t>() - rung.at("began_ms").get<std::int64_t>();
}

std::string wished(Containment containment) {
  switch (containment) {
    case Containment::strongest: break;
    case Containment::cgroup: return "cgroup";
    case Containment::pid_namespace: return "pid-namespace";
    case Containment::process_group: return "process-group";
  }
  return one_containment().value_or("");
}

std::optional<std::string> one_containment() {
  const char* const of_all_tests = std::getenv("BULKHEAD_TEST_CONTAINMENT");
  if (of_all_tests == nullptr) return std::nullopt;
  return of_all_tests;
}

std::vector<Containment> containments() {
  if (!one_containment()) return {Containment::strongest, Containment::process_group};
  return {run_elsewhere(Containment::process_group) ? Containment::strongest : Containment::process_group};
}

bool run_elsewhere(Containment containment) { return one_containment() && one_containment() != wished(containment); }

namespace {
std::vector<support::Seen> census_of(const std::string& run) { return support::census("BULKHEAD_RUN=" + run); }
}  // namespace

HostUnderTest::HostUnderTest(Containment containment) : containment_(containment) {
  fs::create_directory(runtime());
  fs::permissions(runtime(), fs::perms::owner_all);
}

HostUnderTest::~HostUnderTest() noexcept(false) {
  const bool passed_so_far = std::uncaught_exceptions() == 0;
  const Finished stopped = bulkhead({"host", "stop", "--timeout", "30s"});
  const auto processes = support::census(folder().string());
  std::vector<support::Seen> marked;
  for (const std::string& run : runs()) {
    for (const auto& seen : census_of(run)) marked.push_back(seen);
  }
  const auto files = sockets_and_folders();
  support::end_all(folder().string());
  for (const std::string& run : runs()) support::end_all(run);
  if (!passed_so_far) return;  // the test has failed already, and said why
  INFO("host stop: " << stopped.out << stopped.err);
  CHECK(stopped.code == 0);
  CHECK(processes == std::vector<support::Seen>{});
  CHECK(marked == std::vector<support::Seen>{});
  CHECK(files == std::vector<std::string>{});
}

support::Command HostUnderTest::command(std::string program, Words words) const {
  support::Command command{.program = std::move(program), .arguments = std::move(words)};
  command.env = {{"PATH", std::string(BULKHEAD_PROGRAMS) + ":/usr/local/bin:/usr/bin:/bin"},
                 {"HOME", folder().string()},
                 {"LANG", "C.UTF-8"},
                 {"BULKHEAD_HOME", home().string()},
                 {"XDG_RUNTIME_DIR", runtime().string()},
                 {"BULKHEAD_DRIVER_PATH", BULKHEAD_TEST_DRIVERS}};
  if (!wished(containment_).empty()) command.env["BULKHEAD_CONTAINMENT"] = wished(containment_);
  for (const char* key : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* const value = std::getenv(key)) command.env[key] = value;
  }
  return command;
}

Finished HostUnderTest::bulkhead(Words words, std::string input) const {
  support::Command whole = command(program_path("bulkhead"), std::move(words));
  whole.input = std::move(input);
  return support::run(std::move(whole));
}

std::unique_ptr<Program> HostUnderTest::begin(Words words) const {
  return std::make_unique<Program>(command(program_path("bulkhead"), std::move(words)));
}

namespace {

std::string joined(const Words& words) {
  std::string text = "bulkhead";
  for (const std::string& word : words) text += " " + word;
  return text;
}

}  // namespace

Json HostUnderTest::ok(Words words) const {
  words.emplace_back("--json");
  const Finished finished = bulkhead(words);
  INFO(joined(words) << "\n" << finished.out << finished.err);
  REQUIRE(finished.code == 0);
  Json json = Json::parse(finished.out, nullptr, false);
  REQUIRE_FALSE(json.is_discarded());
  return json;
}

Json HostUnderTest::failing(int code, Words words) const {
  words.emplace_back("--json");
  const Finished finished = bulkhead(words);
  INFO(joined(words) << "\n" << finished.out << finished.err);
  REQUIRE(finished.code == code);
  Json json = Json::parse(finished.out, nullptr, false);
  REQUIRE(json.is_object());
  REQUIRE(json.contains("error"));
  return json["error"];
}

Json HostUnderTest::firmware(const std::string& name, const std::string& kind) {
  return {{"name", name},
          {"driver", "qemu"},
          {"memory", "16MiB"},
          {"boot", {{"firmware", guest_file("firmware-" + kind + ".bin")}}},
          {"options", {{"accelerator", "tcg"}}}};
}

Json HostUnderTest::linux_guest(const std::string& name, const std::string& kernel_arguments) {
  return {{"name", name},
          {"driver", "qemu"},
          {"memory", "128MiB"},
          {"boot",
           {{"kernel", guest_file("vmlinuz")},
            {"initrd", guest_file("initrd.gz")},
            {"cmdline", "console=ttyS0 quiet panic=-1 " + kernel_arguments}}},
          {"options", {{"accelerator", "tcg"}}}};
}

Json HostUnderTest::process(const std::string& name, Words actions, Json options) {
  options["program"] = TEST_CHILD;
  options["arguments"] = std::move(actions);
  return {{"name", name}, {"driver", "org.bulkhead.test.process"}, {"options", std::move(options)}};
}

fs::path HostUnderTest::write_spec(const Json& spec) const {
  const fs::path file = folder_ / (spec.value("name", "spec") + ".json");
  support::write_text(file, spec.dump(2));
  return file;
}

void HostUnderTest::create(const Json& spec) const { ok({"create", write_spec(spec).string()}); }

void HostUnderTest::start(const std::string& name) const { CHECK(ok({"start", name}).at("state") == "running"); }

void HostUnderTest::run_vm(const Json& spec) const {
  const std::string name = spec.at("name");
  create(spec);
  start(name);
  REQUIRE(console_says(name, spec.at("driver") == "qemu" ? "READY" : "ready"));
}

Json HostUnderTest::info(const std::string& name) const { return ok({"info", name}); }
std::string HostUnderTest::state(const std::string& name) const { return info(name).at("state"); }

bool HostUnderTest::reaches(const std::string& name, const std::string& wanted) const {
  std::string last;
  const bool reached = eventually([&] { return (last = state(name)) == wanted; });
  if (!reached) WARN("'" + name + "' is " + last + ", not " + wanted);
  return reached;
}

std::int64_t HostUnderTest::leader(const std::string& name) const {
  return info(name).at("run").at("leader").at("pid");
}
std::int64_t HostUnderTest::agent(const std::string& name) const { return info(name).at("run").at("agent").at("pid"); }
std::string HostUnderTest::run_of(const std::string& name) const { return info(name).at("run").at("id"); }
std::int64_t HostUnderTest::daemon() const { return ok({"host", "status"}).at("pid"); }
std::string HostUnderTest::mechanism() const { return ok({"host", "status"}).at("containment").at("mechanism"); }

std::string HostUnderTest::console(const std::string& name) const {
  return support::read_text(vm_directory(name) / "console.log");
}

bool HostUnderTest::console_says(const std::string& name, const std::string& text) const {
  const bool said = eventually([&] { return contains(console(name), text); });
  if (!said) WARN("the console of '" + name + "' says: " + console(name));
  return said;
}

std::vector<std::string> HostUnderTest::boots(const std::string& name) const {
  static const std::regex line("BOOT ([0-9a-f]{8}[0-9a-f-]*)\r?\n");
  const std::string said = console(name);
  std::vector<std::string> ids;
  for (std::sregex_iterator it(said.begin(), said.end(), line), end; it != end; ++it) ids.push_back((*it)[1]);
  return ids;
}

std::string HostUnderTest::boot_of(const std::string& name) const {
  const Json vm = info(name);
  std::string question = "b";
  if (vm.at("spec").at("boot").contains("kernel")) {
    question = "echo BOOT $(cat /proc/sys/kernel/random/boot_id)\n";
    REQUIRE(console_says(name, "guest# "));
  }
  const std::size_t before = boots(name).size();
  // Kept until the answer: QEMU may drop what was typed by a client that has gone.
  const support::Typist typist(vm.at("run").at("driver_says").at("console").at("socket"), question);
  const bool answered = eventually([&] { return boots(name).size() > before; });
  INFO("the console of '" << name << "' says: " << console(name));
  REQUIRE(answered);
  return boots(name).back();
}

std::vector<support::Seen> HostUnderTest::left() const {
  auto seen = support::census(folder().string());
  std::erase_if(seen, [](const support::Seen& one) { return one.name == "bulkhead-init"; });
  return seen;
}

std::vector<support::Seen> HostUnderTest::members(const std::string& run) const {
  auto seen = census_of(run);
  std::erase_if(seen,
                [](const support::Seen& one) { return one.name == "bulkhead-init" || one.name == "bulkhead-agent"; });
  return seen;
}

namespace {

std::vector<std::string> cgroups_of(const std::string& run) {
  std::vector<std::string> found;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it("/sys/fs/cgroup", options, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == run) found.push_back(it->path().string());
  }
  return found;
}

}  // namespace

std::vector<std::string> HostUnderTest::sockets_and_folders() const {
  std::vector<std::string> found;
  std::error_code error;
  const fs::path own = runtime() / "bulkhead";
  for (fs::recursive_directory_iterator it(runtime(), error), end; !error && it != end; it.increment(error)) {
    const bool hosts = it->path() == own || (it->path().parent_path() == own && it->is_directory());
    if (!hosts && it->path().filename() != "host.sock") found.push_back(it->path().string());
    if (it->path().filename() == "host.sock" && left().empty()) found.push_back(it->path().string());
  }
  for (const std::string& run : runs()) {
    for (const std::string& cgroup : cgroups_of(run)) found.push_back(cgroup);
  }
  return found;
}

std::vector<std::string> HostUnderTest::runs() const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(home() / "vms", error), end; !error && it != end; it.increment(error)) {
    const std::string ledger = support::read_text(it->path() / "ledger.jsonl");
    std::smatch match;
    if (std::regex_search(ledger, match, std::regex("\"run\":\"([0-9a-f]{16})\""))) found.push_back(match[1]);
  }
  return found;
}

}  // namespace bulkhead::e2e
