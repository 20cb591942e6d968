#pragma once

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace bulkhead::cli {

// A file that only this user can read, in a directory of its own, with the user's text. It stays when it is told to.
class Draft {
 public:
  // `name`: of the file.
  static Result<Draft> create(const std::string& name, const std::string& text);
  Draft(Draft&& other) noexcept;
  Draft& operator=(Draft&&) = delete;
  ~Draft();

  // Lets the user edit it: $VISUAL, $EDITOR, or vi. Blocks until the editor ends; its failure is an error.
  Result<void> edit() const;
  Result<std::string> text() const;
  const std::filesystem::path& file() const { return file_; }
  void keep() { kept_ = true; }

 private:
  explicit Draft(std::filesystem::path file) : file_(std::move(file)) {}
  std::filesystem::path file_;
  bool kept_ = false;
};

}  // namespace bulkhead::cli
