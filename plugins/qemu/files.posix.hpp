// Looking at files, without starting anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "qemu/config.hpp"

namespace bulkhead::qemu {

// The program's path: `name` itself when it has a slash, else the first match in PATH. Nothing when it cannot be
// executed.
std::optional<std::string> find_program(const std::string& name);

// Why the file cannot be used as wanted; nothing when it can.
std::optional<std::string> access_problem(const std::string& path, DiskAccess wanted);

// 0 when it cannot be known.
std::int64_t modified_ns(const std::string& path);
std::uint64_t size_of(const std::string& path);

// At most the last `limit` bytes of what follows `from`; all of a file that has become shorter than that.
std::string read_tail(const std::string& path, std::uint64_t from, std::size_t limit);

// Old or new, never half. False when it could not be written.
bool replace_file(const std::string& path, const std::string& text);
void remove_file(const std::string& path);

}  // namespace bulkhead::qemu
