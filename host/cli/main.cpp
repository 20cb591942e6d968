#include <CLI/CLI.hpp>
#include <csignal>
#include <functional>
#include <iostream>
#include <string>

#include "base/log.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {
namespace {

constexpr int usage_error = 2;

struct Arguments {
  std::string home;
  std::string log_level;
  bool json = false;
  std::string timeout;
  std::string grace;
  std::string file;
  std::string name;
  std::string source = "console";
  bool force = false;
  bool keep_vms = false;
  bool dry_run = false;
};

using Verb = std::function<Result<int>(const Link&, const Common&)>;

Flag flag(bool value) { return value ? Flag::on : Flag::off; }

class CommandLine {
 public:
  CommandLine() : app_("Runs virtual machines, and ends them so that nothing is left.", "bulkhead") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_version_flag("--version", std::string("bulkhead ") + BULKHEAD_VERSION);
    app_.add_option("--home", a_.home, "Home directory; default: $BULKHEAD_HOME, or the user's state directory");
    app_.add_option("--log-level", a_.log_level, "Of a daemon that is started: debug, info, warning or error");
    app_.add_flag("--json", a_.json, "Print JSON");
    add_vm_verbs();
    add_reading_verbs();
    add_host_verbs();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      return app_.exit(e) == 0 ? 0 : usage_error;
    }
    const auto done = perform();
    if (done) return *done;
    if (a_.json) {
      std::cout << dump_pretty(Json{{"error", to_json(done.error())}}) << "\n";
    } else {
      std::cerr << render_error(done.error());
    }
    return exit_code(done.error().code);
  }

 private:
  CLI::App* verb(CLI::App& parent, const char* name, const char* help, Verb perform) {
    CLI::App* command = parent.add_subcommand(name, help);
    command->callback([this, perform = std::move(perform)] { verb_ = perform; });
    return command;
  }
  CLI::App* vm_verb(const char* name, const char* help, Verb perform) {
    CLI::App* command = verb(app_, name, help, std::move(perform));
    command->add_option("NAME", a_.name, "The VM")->required();
    return command;
  }
  void add_timeout(CLI::App* command, const char* help) { command->add_option("--timeout", a_.timeout, help); }

  void add_vm_verbs() {
    verb(app_, "create", "Create a VM from a JSON file",
         [this](const Link& l, const Common& c) { return create(l, c, a_.file); })
        ->add_option("FILE", a_.file, "The VM's spec; - is standard input")
        ->required();
    add_timeout(vm_verb("start", "Start a VM", [this](const Link& l, const Common& c) { return start(l, c, a_.name); }),
                "Give up and undo the start after this time, for example 30s");
    CLI::App* stop_command = vm_verb("stop", "Stop a VM, prove that nothing of it is left, and report",
                                     [this](const Link& l, const Common& c) { return stop_vm(l, c); });
    stop_command->add_flag("--force", a_.force, "Do not ask the guest; overtakes whatever is under way");
    stop_command->add_flag("--dry-run", a_.dry_run, "Only print what would be done");
    stop_command->add_option("--grace", a_.grace, "How long the guest may take, for example 10s");
    add_timeout(stop_command, "Wait no longer than this; the stop goes on");
    CLI::App* remove_command =
        vm_verb("remove", "Remove a stopped VM; its disk images stay",
                [this](const Link& l, const Common& c) { return remove(l, c, a_.name, flag(a_.force)); });
    remove_command->add_flag("--force", a_.force, "Stop it by force first");
    add_timeout(remove_command, "Wait no longer than this");
  }

  void add_reading_verbs() {
    verb(app_, "list", "List all VMs", [](const Link& l, const Common& c) { return list(l, c); });
    vm_verb("info", "Show a VM", [this](const Link& l, const Common& c) { return info(l, c, a_.name); });
    vm_verb("logs", "Show a VM's log", [this](const Link& l, const Common& c) {
      return logs(l, c, a_.name, a_.source);
    })->add_option("--source", a_.source, "console (the default), agent, or a log of the driver");
    vm_verb("console", "Connect to a VM's console; Ctrl-] leaves",
            [this](const Link& l, const Common& c) { return console(l, c, a_.name); });
    verb(app_, "doctor", "Show how VMs are contained here and why not better, and which drivers work",
         [](const Link& l, const Common& c) { return doctor(l, c); });
    CLI::App* driver = app_.add_subcommand("driver", "Look at drivers");
    driver->require_subcommand(1);
    verb(*driver, "list", "List the drivers that are installed",
         [](const Link& l, const Common& c) { return driver_list(l, c); });
  }

  void add_host_verbs() {
    CLI::App* host = app_.add_subcommand("host", "Start, stop or look at the daemon");
    host->require_subcommand(1);
    verb(*host, "start", "Start the daemon", [](const Link& l, const Common& c) { return host_start(l, c); });
    CLI::App* stop_command =
        verb(*host, "stop", "Stop all VMs, then the daemon",
             [this](const Link& l, const Common& c) { return host_stop(l, c, flag(a_.keep_vms)); });
    stop_command->add_flag("--keep-vms", a_.keep_vms, "Let the VMs run on");
    add_timeout(stop_command, "Give the VMs this long, for example 60s");
    verb(*host, "status", "Does the daemon run?", [](const Link& l, const Common& c) { return host_status(l, c); });
  }

  Result<int> stop_vm(const Link& link, const Common& common) {
    StopOptions options{.force = flag(a_.force), .dry_run = flag(a_.dry_run)};
    if (!a_.grace.empty()) {
      TRY(options.grace, parse_duration(a_.grace));
    }
    return stop(link, common, a_.name, options);
  }

  Result<int> perform() {
    Common common{.format = a_.json ? Format::json : Format::text};
    if (!a_.timeout.empty()) {
      TRY(common.timeout, parse_duration(a_.timeout));
    }
    std::string level = a_.log_level.empty() ? os::environment("BULKHEAD_LOG_LEVEL").value_or("info") : a_.log_level;
    CHECKED(parse_log_level(level));
    TRY(const Link link, Link::open(a_.home, std::move(level)));
    return verb_(link, common);
  }

  CLI::App app_;
  Arguments a_;
  Verb verb_;
};

}  // namespace
}  // namespace bulkhead::cli

int main(int argc, char** argv) {
  using namespace bulkhead;
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return cli::CommandLine().run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << cli::render_error({.code = Code::internal, .what = e.what()});
    return 1;
  }
}
