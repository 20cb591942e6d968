#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace bulkhead::cli {

// A VM's spec as its user wrote it.
struct SpecFile {
  Json spec;
  std::filesystem::path folder;  // relative paths are relative to it
};
// "-" is standard input.
Result<SpecFile> read_spec(const std::string& file);
// As the API takes it.
Json request_body(const SpecFile& file);

}  // namespace bulkhead::cli
