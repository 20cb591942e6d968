#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <stdlib.h>
#include <string>

namespace bulkhead::support {

// A new directory that goes away with this object. Its path is short, since sockets are made below it, and unique,
// since the census looks for it.
class TempDir {
 public:
  TempDir() {
    constexpr std::size_t longest = 14;
    const char* const wanted = std::getenv("TMPDIR");
    const bool fits = wanted != nullptr && *wanted == '/' && std::string(wanted).size() <= longest;
    std::string pattern = std::string(fits ? wanted : "/tmp") + "/bulkhead-test.XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make '" + pattern + "'");
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace bulkhead::support
