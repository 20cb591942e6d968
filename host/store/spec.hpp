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
  Json options = Json::object();
};

// Everything that is wrong with a document, in one go; nothing when it can be used. The driver and its options are
// checked by whoever knows the drivers.
std::vector<Problem> check_spec(const Json& document);

// invalid, with all problems, when check_spec finds any. Relative paths become absolute against `folder`.
Result<VmSpec> parse_spec(const Json& document, const std::filesystem::path& folder);

// The same VM as a document that parse_spec reads.
Json to_json(const VmSpec& spec);

// What a driver is given when it opens the VM.
Json driver_arguments(const VmSpec& spec);

}  // namespace bulkhead::store
