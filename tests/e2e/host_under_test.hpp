#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/census.hpp"
#include "support/eventually.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"
#include "support/text_file.hpp"

namespace bulkhead::e2e {

using Json = nlohmann::json;
using support::eventually;
using support::Finished;
using support::Program;
using Words = std::vector<std::string>;

// strongest: unless BULKHEAD_TEST_CONTAINMENT names another one, for a run of all tests on it.
enum class Containment { strongest, cgroup, pid_namespace, process_group };
// As the host takes it; "" for the strongest.
std::string wished(Containment containment);
// All tests are run on one containment: the name of it. Nothing: each chooses.
std::optional<std::string> one_containment();
// To be generated from: those that the tests tell apart, or the one that all are run on.
std::vector<Containment> containments();
// True: all tests are run on another one.
bool run_elsewhere(Containment containment);

// One installation as its user has it: its own home (with a space and a bracket in its path) and runtime directory. All
// that it starts carries the folder's path in its environment. At its end the host is stopped, and then it is looked at
// from outside that nothing is left.
class HostUnderTest {
 public:
  explicit HostUnderTest(Containment containment = Containment::strongest);
  HostUnderTest(const HostUnderTest&) = delete;
  HostUnderTest& operator=(const HostUnderTest&) = delete;
  ~HostUnderTest() noexcept(false);

  // bulkhead WORDS...
  Finished bulkhead(Words words, std::string input = {}) const;
  // The same, beside the test.
  std::unique_ptr<Program> begin(Words words) const;
  // With --json, and it succeeds.
  Json ok(Words words) const;
  // With --json, and it fails with this exit code: the error.
  Json failing(int code, Words words) const;
  support::Command command(std::string program, Words words) const;

  // Specs.
  static Json firmware(const std::string& name, const std::string& kind = "obey");
  static Json linux_guest(const std::string& name, const std::string& kernel_arguments = "");
  // A VM that is the test child with these actions, under the test driver.
  static Json process(const std::string& name, Words actions, Json options = Json::object());

  std::filesystem::path write_spec(const Json& spec) const;
  void create(const Json& spec) const;
  void start(const std::string& name) const;
  // Created, started, and its console has said READY (a guest) or "ready" (a process).
  void run_vm(const Json& spec) const;

  Json info(const std::string& name) const;
  std::string state(const std::string& name) const;
  bool reaches(const std::string& name, const std::string& state) const;
  std::int64_t leader(const std::string& name) const;
  std::int64_t agent(const std::string& name) const;
  std::string run_of(const std::string& name) const;
  // Of the daemon that runs.
  std::int64_t daemon() const;
  std::string mechanism() const;
  std::string console(const std::string& name) const;
  bool console_says(const std::string& name, const std::string& text) const;
  // Of each BOOT line of its console, the id. More than one that are the same: its guest was asked.
  std::vector<std::string> boots(const std::string& name) const;
  // The guest is asked on its console and answers: the id of the boot that it is in. For a firmware guest that listens,
  // and a Linux guest with `bulkhead.shell`.
  std::string boot_of(const std::string& name) const;

  // From outside: the living processes of a run, without the host's own init of a pid namespace; that nothing of that
  // is left either is looked at in the end.
  std::vector<support::Seen> members(const std::string& run) const;
  // From outside: everything below the runtime directory that is not the host's own, and the cgroups of runs.
  std::vector<std::string> sockets_and_folders() const;
  // Each VM's last run, as its ledger names it.
  std::vector<std::string> runs() const;
  // From outside: all living processes of this host, with the same exception.
  std::vector<support::Seen> left() const;

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path home() const { return folder_ / "home [1] x"; }
  std::filesystem::path runtime() const { return folder_ / "run"; }
  std::filesystem::path vm_directory(const std::string& name) const { return home() / "vms" / name; }

 private:
  Containment containment_;
  support::TempDir folder_;
};

std::string program_path(const std::string& name);
std::string guest_file(const std::string& name);

// The rung of that name in a stop report; null when it was not climbed.
Json rung(const Json& report, const std::string& name);
std::int64_t duration_of(const Json& rung);
bool contains(const std::string& text, const std::string& part);

}  // namespace bulkhead::e2e
