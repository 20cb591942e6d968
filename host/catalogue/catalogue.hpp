#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/schema.hpp"
#include "catalogue/manifest.hpp"

namespace bulkhead::catalogue {

// A driver that is installed: a folder ID/VERSION/ with driver.json, the library and config.schema.json.
struct Driver {
  Manifest manifest;
  std::filesystem::path library;
  Schema options;  // for the "options" of a VM's spec
};

struct Broken {
  std::filesystem::path folder;
  Error why;
};

// Reads manifests and schemas; never loads or even opens a library.
class Catalogue {
 public:
  // Looks in the folders in order; of one id and version the first is taken. A folder that does not exist is skipped.
  static Catalogue scan(const std::vector<std::filesystem::path>& folders);

  // By id ("org.bulkhead.qemu") or its last part ("qemu"); the newest version. not_found: with "did you mean".
  Result<Driver> find(const std::string& name) const;
  const std::vector<Driver>& drivers() const { return drivers_; }
  const std::vector<Broken>& broken() const { return broken_; }

 private:
  std::vector<Driver> drivers_;
  std::vector<Broken> broken_;
};

}  // namespace bulkhead::catalogue
