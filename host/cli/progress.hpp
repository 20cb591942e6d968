#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"

// What is told while operations are waited for. Pure.
namespace bulkhead::cli {

// "stop" becomes "stopping".
std::string gerund(const std::string& kind);

// Of operations of one kind, without a newline: "stopping 'dev': ask 3 s of 20 s" for one; for several how many are
// done, and how far the first is that is not.
std::string render_progress(const std::vector<Json>& operations);

// Of one that has entered another phase: "stopping 'dev': ask, up to 20 s".
std::string render_phase(const Json& operation);

}  // namespace bulkhead::cli
