#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/definition.hpp"
#include "cli/verbs.hpp"

namespace bulkhead::cli {

// The commands: what they are called, what they take, and what they do. Help, completion and manual pages are made from
// the same definitions.
class CommandLine {
 public:
  explicit CommandLine(std::string version);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // The exit code.
  int run(int argc, const char* const* argv);
  CommandDefinition definition() const { return describe(app_); }

 private:
  using Verb = std::function<Result<int>(const Link&, const Common&)>;

  struct Arguments {
    std::string home;
    std::string log_level;
    std::string output = "table";
    bool json = false;
    bool verbose = false;
    std::string timeout;
    std::string grace;
    std::string file;
    std::vector<std::string> files;
    std::string name;
    std::vector<std::string> names;
    std::string state;
    std::string source = "console";
    std::string shell;
    std::optional<std::size_t> tail;
    std::optional<std::uint64_t> after;
    bool all = false;
    bool force = false;
    bool dry_run = false;
    bool follow = false;
    bool keep_vms = false;
    bool keep_logs = false;
    bool with_console = false;
  };

  void add_program_options();
  void add_lifecycle_verbs();
  void add_spec_verbs();
  void add_reading_verbs();
  void add_care_verbs();
  void add_host_verbs();

  CLI::App* verb(CLI::App& parent, const char* name, const char* help, const char* details, Verb perform);
  // Of one VM that is named.
  CLI::App* vm_verb(const char* name, const char* help, const char* details, Verb perform);
  // Of several, or of all.
  CLI::App* vms_verb(const char* name, const char* help, const char* details, Verb perform);
  static CLI::Option* of_time(CLI::Option* option);
  void add_timeout(CLI::App* command, const char* help);
  void add_stop_options(CLI::App* command);
  void add_log_options(CLI::App* command);
  CLI::Option* expects(CLI::Option* option, Expects what);
  CLI::Option* choices(CLI::Option* option, std::vector<std::string> words);

  Names names() const;
  Result<StopOptions> stop_options() const;
  std::optional<std::string> log_level() const;
  Result<int> perform();
  Result<int> print_completion(const Link& link) const;
  Result<int> write_manual() const;
  Common common() const;
  int usage(const CLI::ParseError& error);

  CommandDefinition describe(const CLI::App& app) const;
  OptionDefinition describe(const CLI::Option& option) const;

  std::string version_;
  CLI::App app_;
  Arguments a_;
  Verb verb_;
  std::map<const CLI::Option*, Expects> expects_;
  std::map<const CLI::Option*, std::vector<std::string>> choices_;
};

}  // namespace bulkhead::cli
