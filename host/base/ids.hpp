#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bulkhead {

// A VM's name: [a-z0-9._-]{1,63}, beginning and ending with a letter or digit, not a name that Windows reserves. It is
// a folder name on every platform, and on file systems that ignore case.
class VmName {
 public:
  static Result<VmName> parse(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const VmName&) const = default;

 private:
  explicit VmName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// One run of a VM, from start to proved gone: 16 lower-case hex digits, random.
class RunId {
 public:
  static Result<RunId> parse(std::string_view text);
  static RunId random();
  const std::string& str() const { return text_; }
  auto operator<=>(const RunId&) const = default;

 private:
  explicit RunId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace bulkhead
