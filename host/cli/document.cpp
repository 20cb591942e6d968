#include "cli/document.hpp"

#include <iostream>
#include <iterator>

#include "os/file.hpp"

namespace bulkhead::cli {

Result<SpecFile> read_spec(const std::string& file) {
  std::error_code error;
  std::string text;
  std::filesystem::path folder;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    folder = std::filesystem::current_path(error);
    if (error) return fail(Code::io, "find the current folder: " + error.message());
  } else {
    const auto path = std::filesystem::canonical(file, error);
    if (error) return fail(Code::not_found, "read '" + file + "': " + error.message());
    TRY(text, os::read_file(path));
    folder = path.parent_path();
  }
  TRY(Json document, parse_json(text, file));
  if (!document.is_object()) return fail(Code::invalid, "read '" + file + "': not a JSON object");
  return SpecFile{.spec = std::move(document), .folder = std::move(folder)};
}

Json request_body(const SpecFile& file) { return {{"spec", file.spec}, {"folder", file.folder.string()}}; }

}  // namespace bulkhead::cli
