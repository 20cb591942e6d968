#pragma once

#include <string>
#include <vector>

#include "bulkhead/driver.h"

#include "base/json.hpp"
#include "base/result.hpp"

// What a driver says about itself, read without loading it (driver.json).
namespace bulkhead::catalogue {

struct KillSemantics {
  bulkhead_kill_semantics declared{};  // its pointers are null here: the lists are below
  std::vector<std::string> artifact_kinds{};
  std::vector<std::string> stop_argv{};
};

struct Manifest {
  std::string id;
  std::string name;
  std::string vendor;
  std::string version;
  std::string license;
  std::int64_t abi_minor_min = 0;
  KillSemantics kill;
  Json document;  // as read; what the ledger of a run keeps
};

// The manifest of a compiled driver; driver.json is this, written at build time, and the two must be equal at load.
// invalid: a mandatory field is missing, or the declaration contradicts itself.
Result<Json> describe(const bulkhead_descriptor& descriptor);

Result<Manifest> parse_manifest(const Json& document);

}  // namespace bulkhead::catalogue
