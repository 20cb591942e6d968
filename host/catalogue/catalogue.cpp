#include "catalogue/catalogue.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/suggest.hpp"
#include "os/file.hpp"

namespace bulkhead::catalogue {

namespace fs = std::filesystem;

namespace {

#if defined(BULKHEAD_DRIVER_SUFFIX)
constexpr const char* library_name = "driver" BULKHEAD_DRIVER_SUFFIX;
#else
#error "the build defines BULKHEAD_DRIVER_SUFFIX"
#endif

Result<Json> read_json(const fs::path& path) {
  TRY(const std::string text, os::read_file(path));
  return parse_json(text, path.string());
}

Result<Driver> read_driver(const fs::path& folder) {
  TRY(const Json document, read_json(folder / "driver.json"));
  auto manifest = parse_manifest(document);
  if (!manifest) return std::unexpected(within("read '" + (folder / "driver.json").string() + "'", manifest.error()));
  TRY(Json schema_document, read_json(folder / "config.schema.json"));
  TRY(Schema schema, Schema::compile(std::move(schema_document), (folder / "config.schema.json").string()));
  std::error_code error;
  if (!fs::is_regular_file(folder / library_name, error)) {
    return fail(Code::not_found, "find library '" + (folder / library_name).string() + "': no such file");
  }
  return Driver{.manifest = *std::move(manifest), .library = folder / library_name, .options = std::move(schema)};
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) found.push_back(it->path());
  }
  std::ranges::sort(found);
  return found;
}

std::string last_part(const std::string& id) {
  const auto dot = id.rfind('.');
  return dot == std::string::npos ? id : id.substr(dot + 1);
}

// The numbers of a semantic version; what follows them is not looked at.
std::array<int, 3> version_key(const std::string& version) {
  std::array<int, 3> key{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (int& part : key) {
    const auto [rest, error] = std::from_chars(at, end, part);
    if (error != std::errc{} || rest == end || *rest != '.') break;
    at = rest + 1;
  }
  return key;
}

}  // namespace

Catalogue Catalogue::scan(const std::vector<fs::path>& folders) {
  Catalogue catalogue;
  for (const fs::path& folder : folders) {
    for (const fs::path& id : folders_in(folder)) {
      for (const fs::path& version : folders_in(id)) {
        auto driver = read_driver(version);
        if (!driver) {
          catalogue.broken_.push_back({.folder = version, .why = driver.error()});
          continue;
        }
        const bool hidden = std::ranges::any_of(catalogue.drivers_, [&](const Driver& other) {
          return other.manifest.id == driver->manifest.id && other.manifest.version == driver->manifest.version;
        });
        if (!hidden) catalogue.drivers_.push_back(*std::move(driver));
      }
    }
  }
  return catalogue;
}

Result<Driver> Catalogue::find(const std::string& name) const {
  const Driver* best = nullptr;
  std::vector<std::string> known;
  for (const Driver& driver : drivers_) {
    const std::string& id = driver.manifest.id;
    known.push_back(last_part(id));
    if (id != name && last_part(id) != name) continue;
    if (best == nullptr || version_key(best->manifest.version) < version_key(driver.manifest.version)) best = &driver;
  }
  if (best != nullptr) return *best;
  for (const Broken& broken : broken_) {
    const std::string id = broken.folder.parent_path().filename().string();
    if (id == name || last_part(id) == name) return std::unexpected(within("use driver '" + name + "'", broken.why));
  }
  const auto meant = suggest(name, known);
  return fail(Code::not_found, "no driver '" + name + "'",
              meant ? "did you mean \"" + *meant + "\"?" : "see: bulkhead driver list");
}

}  // namespace bulkhead::catalogue
