#include "os/paths.hpp"

#include <array>
#include <cstdlib>
#include <pwd.h>
#include <string_view>
#include <unistd.h>

namespace bulkhead::os {

namespace {

namespace fs = std::filesystem;

// FNV-1a: stable across versions and platforms, since running VMs are found again by it.
std::string short_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  std::string out;
  for (int i = 0; i < 8; ++i, hash >>= 4) out += "0123456789abcdef"[hash & 15U];
  return out;
}

// Of the user's account, whatever this process's environment says: two homes must never have one runtime directory.
std::optional<fs::path> default_home() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> text{};
  if (::getpwuid_r(::geteuid(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return fs::path(entry.pw_dir) / ".local/state/bulkhead";
}

}  // namespace

std::optional<std::string> environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<fs::path> home_directory(const std::string& wanted) {
  const std::string given = wanted.empty() ? environment("BULKHEAD_HOME").value_or("") : wanted;
  if (!given.empty()) {
    std::error_code error;
    fs::path path = fs::absolute(given, error).lexically_normal();
    if (error) return fail(Code::io, "use home '" + given + "': " + error.message());
    if (path.filename().empty()) path = path.parent_path();  // "/x/" and "/x" are one home
    return path;
  }
  if (const auto state = environment("XDG_STATE_HOME"); state && (*state)[0] == '/')
    return fs::path(*state) / "bulkhead";
  if (const auto home = environment("HOME"); home && (*home)[0] == '/')
    return fs::path(*home) / ".local/state/bulkhead";
  return fail(Code::not_found, "find a home directory: neither HOME nor BULKHEAD_HOME is set", "set BULKHEAD_HOME");
}

Result<fs::path> runtime_directory(const fs::path& home) {
  fs::path base;
  if (const auto runtime = environment("XDG_RUNTIME_DIR"); runtime && (*runtime)[0] == '/' && runtime->size() <= 40) {
    base = fs::path(*runtime) / "bulkhead";
  } else {
    base = "/tmp/bulkhead-" + std::to_string(::geteuid());
  }
  // A name that can be written into a unit file.
  return base / (home == default_home() ? "default" : short_hash(home.string()));
}

Result<fs::path> program_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::io, "find this program's folder: " + error.message());
  return self.parent_path();
}

}  // namespace bulkhead::os
