#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "cli/output.hpp"

namespace bulkhead::cli {

// How far operations are, on standard error: one line that is redrawn on a terminal, a line for each phase elsewhere if
// the user wants to know, and nothing where a document is printed. The line is gone when this object is.
class ProgressLine {
 public:
  explicit ProgressLine(const Common& common);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  void show(const std::vector<Json>& operations);
  void clear();

 private:
  enum class Mode { silent, lines, redrawn };
  Mode mode_ = Mode::silent;
  std::map<std::string, std::string> phases_;  // by operation
  bool drawn_ = false;
};

}  // namespace bulkhead::cli
