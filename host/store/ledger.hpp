#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "os/file.hpp"
#include "os/process.hpp"

// The write-ahead record of what one run of a VM created: a thing is in it, durably, before it exists. One writer at a
// time: the daemon until the agent runs, the agent while it lives, the daemon again after the agent's proved death.
namespace bulkhead::store {

// init: of the run's pid namespace. Whoever is first is ended first: what he leaves behind then only has to be waited
// for.
enum class Role { agent, init, leader, helper };
std::string_view name(Role role);

Json identity_json(const os::Identity& identity);
Result<os::Identity> identity_from_json(const Json& json);

struct RecordedProcess {
  Role role;
  os::Identity identity;
  std::string program;
  std::optional<int> exit_code{};  // once it was seen to exit
  std::optional<int> exit_signal{};
};

struct RecordedArtifact {
  std::string kind;
  std::string path;
  bool persistent = false;  // stays when the VM stops
};

struct RecordedLock {
  std::string path;
  bool shared = false;
};

// What the daemon decided before anything was started.
struct Beginning {
  RunId run;
  std::string vm;
  std::string boot_id;
  std::uint64_t pid_namespace = 0;  // that the recorded pids are of; 0: not known
  std::string runtime_directory;    // of this run
  std::string containment;          // the name of the mechanism
  std::string cgroup{};             // of this run; empty: none
  std::string driver_library;
  Json manifest;  // the driver's declaration, as it was when the run began
  Json spec;      // the VM's, with absolute paths
};
Json to_json(const Beginning& beginning);
Result<Beginning> beginning_from_json(const Json& json);

// A ledger as it reads now. Pure.
struct LedgerView {
  std::optional<Beginning> beginning{};
  std::vector<RecordedProcess> processes{};   // in order of start
  std::vector<RecordedArtifact> artifacts{};  // in order of creation
  std::vector<RecordedLock> locks{};          // that were asked for; the kernel knows which are held
  std::optional<Json> start_reply{};          // what the driver said of the VM that it started
  Json driver_state = Json::object();
  bool ended = false;  // proved gone and cleaned: nothing of this run exists

  const RecordedProcess* last_of(Role role) const;
  // How many the run has had.
  std::size_t agents() const;
};
// Records of an unknown type are kept out: a newer version wrote them. unknown: a record lacks what its type needs.
Result<LedgerView> view_of(const std::vector<Json>& records);

namespace record {
Json begin(const Beginning& beginning);
Json intent(Role role, const std::string& program);
Json process(Role role, const os::Identity& identity, const std::string& program);
Json exited(const os::Identity& identity, int code, int signal);
Json artifact(const RecordedArtifact& artifact);
Json lock(const RecordedLock& lock);
Json started(const Json& reply);
Json state(const Json& state);
Json end();
}  // namespace record

class Ledger {
 public:
  // Replaces the ledger of a run that has ended.
  static Result<Ledger> create(const std::filesystem::path& file, const Beginning& beginning);
  // Goes on with one; cuts a torn last line.
  static Result<Ledger> open(const std::filesystem::path& file);
  // Reads without touching it. not_found: there never was a run.
  static Result<LedgerView> read(const std::filesystem::path& file);

  // Durable when it returns.
  Result<void> append(const Json& record);

 private:
  explicit Ledger(os::AppendFile file) : file_(std::move(file)) {}
  os::AppendFile file_;
};

}  // namespace bulkhead::store
