#include "cli/command_line.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/log.hpp"
#include "base/suggest.hpp"
#include "base/units.hpp"
#include "cli/completion.hpp"
#include "cli/manual_files.hpp"
#include "cli/print.hpp"
#include "cli/terminal.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {

namespace {

constexpr int usage_error = 2;
constexpr const char* hidden = "";

std::vector<const CLI::App*> visible_commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return command->get_group() != hidden; });
}

// The command that was named last on the line.
const CLI::App& deepest(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : deepest(*parsed.front());
}

// "bulkhead host stop"
std::string path_of(const CLI::App& command) {
  const CLI::App* const parent = command.get_parent();
  return parent == nullptr ? command.get_name() : path_of(*parent) + " " + command.get_name();
}

std::string value_name(const CLI::Option& option) {
  if (option.get_type_size() == 0) return "";
  const std::string type = option.get_type_name();
  return type.substr(0, type.find(':'));
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

}  // namespace

CommandLine::CommandLine(std::string version)
    : version_(std::move(version)), app_("Runs virtual machines, and ends them so that nothing is left.", "bulkhead") {
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.set_version_flag("--version", "bulkhead " + version_, "Print the version");
  app_.set_help_flag("-h,--help", "Print help");
  app_.footer(
      "VMs are run by a daemon, bulkheadd, that is started when it is needed. What was asked of it is done whether "
      "anybody waits for it or not.\n\nResults are printed on standard output, all else on standard error.");
  add_program_options();
  add_spec_verbs();
  add_lifecycle_verbs();
  add_reading_verbs();
  add_care_verbs();
  add_host_verbs();
}

void CommandLine::add_program_options() {
  expects(app_.add_option("--home", a_.home, "Home directory; default: $BULKHEAD_HOME, or the user's state directory"),
          Expects::file)
      ->type_name("DIRECTORY");
  choices(app_.add_option("--log-level", a_.log_level, "Of a daemon that is started"),
          {"debug", "info", "warning", "error"})
      ->type_name("LEVEL");
  choices(app_.add_option("--output", a_.output, "How results are printed"), {"table", "json", "yaml"})
      ->type_name("FORMAT");
  app_.add_flag("--json", a_.json, "The same as --output json");
  app_.add_flag("--verbose", a_.verbose, "Say on standard error how far it is, where that is no terminal");
}

CLI::App* CommandLine::verb(CLI::App& parent, const char* name, const char* help, const char* details, Verb perform) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->footer(details);
  command->callback([this, perform = std::move(perform)] { verb_ = perform; });
  return command;
}

CLI::App* CommandLine::vm_verb(const char* name, const char* help, const char* details, Verb perform) {
  CLI::App* command = verb(app_, name, help, details, std::move(perform));
  expects(command->add_option("NAME", a_.name, "The VM")->required(), Expects::vm)->type_name("");
  return command;
}

CLI::App* CommandLine::vms_verb(const char* name, const char* help, const char* details, Verb perform) {
  CLI::App* command = verb(app_, name, help, details, std::move(perform));
  command->parse_complete_callback([this] {
    if (a_.all && !a_.names.empty()) throw CLI::ValidationError("--all and names exclude each other");
    if (!a_.all && a_.names.empty()) throw CLI::ValidationError("name the VMs, or say --all");
  });
  expects(command->add_option("NAME", a_.names, "The VMs"), Expects::vm)->type_name("");
  command->add_flag("--all", a_.all, "All VMs for which it makes sense");
  return command;
}

CLI::Option* CommandLine::of_time(CLI::Option* option) {
  return option->type_name("TIME")->check([](const std::string& text) {
    const auto time = parse_duration(text);
    return time ? std::string() : time.error().what + "; " + time.error().hint;
  });
}

void CommandLine::add_timeout(CLI::App* command, const char* help) {
  of_time(command->add_option("--timeout", a_.timeout, help));
}

void CommandLine::add_stop_options(CLI::App* command) {
  command->add_flag("--force", a_.force, "Do not ask the guest; overtakes whatever is under way");
  of_time(command->add_option("--grace", a_.grace, "How long the guest may take, for example 10s"));
}

void CommandLine::add_log_options(CLI::App* command) {
  command->add_flag("-f,--follow", a_.follow, "Go on with what is added");
  command->add_option("-n,--tail", a_.tail, "Only the last lines")->type_name("LINES");
}

CLI::Option* CommandLine::expects(CLI::Option* option, Expects what) {
  expects_[option] = what;
  return option;
}

CLI::Option* CommandLine::choices(CLI::Option* option, std::vector<std::string> words) {
  expects_[option] = Expects::choice;
  option->check(CLI::IsMember(words));
  choices_[option] = std::move(words);
  return option;
}

OptionDefinition CommandLine::describe(const CLI::Option& option) const {
  OptionDefinition described{.names = {}, .help = option.get_description(), .value = value_name(option)};
  for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  if (const auto what = expects_.find(&option); what != expects_.end()) {
    described.expects = what->second;
  } else if (!described.value.empty()) {
    described.expects = Expects::text;
  }
  if (const auto words = choices_.find(&option); words != choices_.end()) described.choices = words->second;
  return described;
}

CommandDefinition CommandLine::describe(const CLI::App& app) const {
  CommandDefinition command{.name = app.get_name(), .help = app.get_description(), .details = app.get_footer()};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() == hidden) continue;
    OptionDefinition described = describe(*option);
    if (!described.names.empty()) {
      // Every command has --help.
      if (described.names.back() != "--help" || app.get_parent() == nullptr) {
        command.options.push_back(std::move(described));
      }
      continue;
    }
    command.operands.push_back({.name = option->get_name(true),
                                .help = described.help,
                                .expects = described.expects,
                                .choices = described.choices,
                                .required = option->get_required(),
                                .many = option->get_items_expected_max() > 1});
  }
  for (const CLI::App* child : visible_commands(app)) command.commands.push_back(describe(*child));
  return command;
}

Names CommandLine::names() const { return {.names = a_.names, .all = a_.all ? Flag::on : Flag::off}; }

Result<StopOptions> CommandLine::stop_options() const {
  StopOptions options{.force = a_.force ? Flag::on : Flag::off, .dry_run = a_.dry_run ? Flag::on : Flag::off};
  if (!a_.grace.empty()) {
    TRY(options.grace, parse_duration(a_.grace));
  }
  return options;
}

std::optional<std::string> CommandLine::log_level() const {
  return a_.log_level.empty() ? std::nullopt : std::optional(a_.log_level);
}

Common CommandLine::common() const {
  Common common{.verbose = a_.verbose ? Flag::on : Flag::off};
  if (a_.json || a_.output == "json") {
    common.format = Format::json;
  } else if (a_.output == "yaml") {
    common.format = Format::yaml;
  }
  // https://no-color.org: set, and not empty.
  const bool wanted = !os::environment("NO_COLOR") && os::environment("TERM").value_or("") != "dumb";
  if (wanted && is_terminal(Standard::out)) common.style = Style::coloured;
  return common;
}

Result<int> CommandLine::perform() {
  Common shared = common();
  if (!a_.timeout.empty()) {
    TRY(shared.timeout, parse_duration(a_.timeout));
  }
  TRY(const Link link, Link::open(a_.home, log_level()));
  return verb_(link, shared);
}

Result<int> CommandLine::print_completion(const Link& link) const {
  if (a_.shell == "names") return print_names(link);
  TRY(const std::string script, completion_script(definition(), a_.shell));
  std::cout << script << std::flush;
  return 0;
}

Result<int> CommandLine::write_manual() const {
  CHECKED(write_manual_files(definition(), version_, a_.file));
  return 0;
}

int CommandLine::usage(const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app_.exit(error);
  const CLI::App& command = deepest(app_);
  std::vector<std::string> extras = app_.remaining(true);
  Error told{.code = Code::invalid, .what = error.what(), .hint = "see: " + path_of(command) + " --help"};
  if (const auto word = std::ranges::find_if(extras, [](const std::string& w) { return w != "--"; });
      word != extras.end()) {
    const bool option = word->starts_with("-");
    std::vector<std::string> known = option_names(command);
    if (!option) {
      known.clear();
      for (const CLI::App* child : visible_commands(command)) known.push_back(child->get_name());
    }
    const std::string name = word->substr(0, word->find('='));
    const bool is_command = !option && !known.empty();
    told.what = (is_command ? "unknown command '" : option ? "unknown option '" : "unexpected '") + name + "'";
    if (const auto meant = suggest(name, known)) told.hint = "did you mean '" + *meant + "'?";
  }
  std::cerr << render_error(told);
  return usage_error;
}

int CommandLine::run(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return usage(e);
  }
  const auto done = perform();
  if (done) return std::max(*done, end_of_output());
  show_error(common(), done.error());
  return exit_code(done.error().code);
}

}  // namespace bulkhead::cli
