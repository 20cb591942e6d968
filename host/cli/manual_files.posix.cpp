#include "cli/manual_files.hpp"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdio.h>
#include <sys/wait.h>

#include "base/timestamp.hpp"
#include "cli/manual.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {

namespace {

struct ClosePipe {
  void operator()(FILE* pipe) const { ::pclose(pipe); }
};

Result<std::string> help_of(const std::filesystem::path& program) {
  if (program.string().find('\'') != std::string::npos) {
    return fail(Code::invalid, "start '" + program.string() + "': its path has a quote");
  }
  const std::string command = "'" + program.string() + "' --help";
  const std::unique_ptr<FILE, ClosePipe> pipe(::popen(command.c_str(), "re"));
  std::string text;
  for (int c = pipe ? ::fgetc(pipe.get()) : EOF; c != EOF; c = ::fgetc(pipe.get())) text += static_cast<char>(c);
  if (text.empty()) return fail(Code::io, "ask '" + program.string() + "' for its help: it says nothing");
  return text;
}

// SOURCE_DATE_EPOCH makes builds of one source the same.
std::string date() {
  auto time = std::chrono::system_clock::now();
  if (const auto fixed = os::environment("SOURCE_DATE_EPOCH")) {
    time = std::chrono::system_clock::time_point(std::chrono::seconds(std::strtoll(fixed->c_str(), nullptr, 10)));
  }
  return timestamp(time).substr(0, 10);
}

}  // namespace

Result<void> write_manual_files(const CommandDefinition& program, const std::string& version,
                                const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Code::io, "create '" + folder.string() + "': " + error.message());
  const Edition edition{.version = version, .date = date()};
  auto pages = manual_pages(program, edition);
  TRY(const std::filesystem::path programs, os::program_directory());
  TRY(const std::string help, help_of(programs / "bulkheadd"));
  pages["bulkheadd.8"] = manual_of_help(definition_of_help("bulkheadd", help), edition, 8);
  for (const auto& [name, text] : pages) {
    std::ofstream out(folder / name, std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    if (!out) return fail(Code::io, "write '" + (folder / name).string() + "'");
  }
  return {};
}

}  // namespace bulkhead::cli
