#pragma once

#include <cstddef>
#include <filesystem>

#include "base/result.hpp"

namespace bulkhead::cli {

// Connects this terminal with a local socket until the socket's other end closes, or Ctrl-] is typed. A standard input
// that is no terminal is copied to its end, and the output goes on.
Result<void> connect_terminal(const std::filesystem::path& socket);

enum class Standard { in, out, err };
bool is_terminal(Standard stream);
// Of standard error; 80 when it is not known.
std::size_t terminal_width();

// While it exists Ctrl-C is counted instead of ending this program. One at a time.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();
  int count() const;
};

}  // namespace bulkhead::cli
