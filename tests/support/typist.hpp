#pragma once

#include <filesystem>
#include <string_view>

namespace bulkhead::support {

// Somebody who is connected to a socket, as long as this object lives, and has written this text to it.
class Typist {
 public:
  Typist(const std::filesystem::path& socket, std::string_view text);
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;
  ~Typist();

 private:
  int handle_;
};

}  // namespace bulkhead::support
