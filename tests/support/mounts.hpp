#pragma once

#include <filesystem>
#include <string>

namespace bulkhead::support {

// Mounts that only this program and what it starts can see: they go with them. Made before the first thread.
class Mounts {
 public:
  // "": from now on this program may mount, and nobody else sees it; else why not.
  static std::string obstacle();
  // A file system of that size, in memory.
  static void small(const std::filesystem::path& at, std::size_t bytes);
  // What is at the path cannot be written to by path, until it is unmounted; what is open for writing stays so.
  static void read_only(const std::filesystem::path& at);
  static void unmount(const std::filesystem::path& at);
};

}  // namespace bulkhead::support
