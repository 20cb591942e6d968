#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace bulkhead {

// Paths are UTF-8 in our documents and messages. On Windows std::filesystem::path takes plain text for the code page's.
inline std::filesystem::path path_from_utf8(std::string_view text) {
  return std::filesystem::path(std::u8string(text.begin(), text.end()));
}

inline std::string utf8(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

}  // namespace bulkhead
