#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

// None of these follows a symbolic link in the last component of `path`: state and runtime directories hold none of
// ours, so one that is there was put there to lead us outside.

Result<std::string> read_file(const std::filesystem::path& path);

// The last `bytes` of a file; for showing logs.
Result<std::string> read_tail(const std::filesystem::path& path, std::size_t bytes);

enum class Readable { by_owner, by_everybody };
// Old or new content, never half, also across a power loss. Writable by the owner only.
Result<void> write_atomically(const std::filesystem::path& path, std::string_view content,
                              Readable readable = Readable::by_owner);

// Creates the directory with mode 0700, or checks one that is there: a real directory, owned by this user, and not
// writable by others. denied: it is not, and the message says how to mend it. Parents are created as needed.
Result<void> make_private_directory(const std::filesystem::path& path);

// Removes a file, socket or empty directory; a missing one is fine.
Result<void> remove_entry(const std::filesystem::path& path);

// Replaces what is at `to`, in the same file system; on the disk when it returns.
Result<void> rename_entry(const std::filesystem::path& from, const std::filesystem::path& to);

// Removes a directory with all in it; links are removed, not followed. A missing one is fine.
Result<void> remove_tree(const std::filesystem::path& path);

// A file that only grows; each append is on the disk when it returns.
class AppendFile {
 public:
  enum class If { exists, missing };
  // missing: creates it, and fails with `exists` when it is there. exists: opens it.
  static Result<AppendFile> open(const std::filesystem::path& path, If when);
  // All of it or nothing; after a failure that could not be undone, every later one fails too.
  Result<void> append(std::string_view text);
  // Cuts the file: for a torn last line.
  Result<void> truncate(std::uint64_t size);

 private:
  AppendFile(UniqueHandle handle, std::filesystem::path path) : handle_(std::move(handle)), path_(std::move(path)) {}
  UniqueHandle handle_;
  std::filesystem::path path_;
  bool broken_ = false;
};

}  // namespace bulkhead::os
