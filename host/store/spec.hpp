#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/units.hpp"

// A VM as its user describes it (sdk/schema/vm.schema.json). Pure.
namespace bulkhead::store {

struct Disk {
  std::string path;
  std::string format = "raw";
  bool readonly = false;
};

// Empty strings: not given. Either kernel or firmware, or neither.
struct Boot {
  std::string kernel{};
  std::string initrd{};
  std::string cmdline{};
  std::string firmware{};
};

// What happens when a VM ends that nobody asked to end.
struct Restart {
  enum class Policy { never, on_failure, always };  // always: also when the guest shut down by itself
  Policy policy = Policy::never;
  milliseconds delay{1'000};  // before the first restart; doubled with each further one
  milliseconds max_delay{60'000};
  milliseconds reset_after{600'000};  // a run that lasted this long is a success: what comes counts from 0
  int limit = 5;                      // restarts in a row; 0: no limit
  bool operator==(const Restart&) const = default;
};
std::string_view name(Restart::Policy policy);

struct VmSpec {
  VmName name;
  std::string driver;
  int cpus = 1;
  Bytes memory{512ULL << 20};
  Boot boot{};
  std::vector<Disk> disks{};
  std::string console = "serial";
  std::optional<milliseconds> grace_period{};
  bool best_effort_containment = false;  // started also where this host contains less than the driver declares to need
  Restart restart{};
  bool autostart = false;  // started with the daemon, once per boot of the machine
  Json options = Json::object();
};

// Everything that is wrong with a document, in one go; nothing when it can be used. The driver and its options are
// checked by whoever knows the drivers.
std::vector<Problem> check_spec(const Json& document);

// invalid, with all problems, when check_spec finds any. Relative paths become absolute against `folder`.
Result<VmSpec> parse_spec(const Json& document, const std::filesystem::path& folder);

// The same VM as a document that parse_spec reads.
Json to_json(const VmSpec& spec);

// JSON pointers to what the two differ in, of what only a start puts in force: the rest (restart, autostart, stop) is
// the host's own affair.
std::vector<std::string> pending_changes(const VmSpec& running, const VmSpec& wanted);

// What a driver is given when it opens the VM.
Json driver_arguments(const VmSpec& spec);

}  // namespace bulkhead::store
