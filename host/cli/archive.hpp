#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace bulkhead::cli {

struct ArchiveEntry {
  std::string path;
  std::string content;
};

// A .tar.gz that only this user can read. exists: there is such a file, and it stays as it is. After any other error
// there is none.
Result<void> write_archive(const std::filesystem::path& file, const std::vector<ArchiveEntry>& entries);

}  // namespace bulkhead::cli
