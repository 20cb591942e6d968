#include "cli/command_line.hpp"

namespace bulkhead::cli {

namespace {
Flag flag(bool value) { return value ? Flag::on : Flag::off; }
}  // namespace

void CommandLine::add_spec_verbs() {
  const auto of_file = [this](CLI::App* command) {
    expects(command->add_option("FILE", a_.file, "The VM's spec, in JSON; - is standard input")->required(),
            Expects::file)
        ->type_name("");
  };
  CLI::App* run_command =
      verb(app_, "run", "Create a VM from a file, and start it",
           "If there is a VM of that name with the very same spec, it is only started. If its spec is another one, the "
           "differences are shown and nothing is done.",
           [this](const Link& l, const Common& c) { return cli::run(l, c, a_.file); });
  of_file(run_command);
  add_timeout(run_command, "Give up and undo the start after this time, for example 30s");
  of_file(verb(app_, "create", "Create a VM from a file", "Everything that is wrong in the file is told at once.",
               [this](const Link& l, const Common& c) { return create(l, c, a_.file); }));
  CLI::App* check =
      verb(app_, "validate", "Check files with specs", "The driver's own options are checked too. Nothing is created.",
           [this](const Link& l, const Common& c) { return validate(l, c, a_.files); });
  expects(check->add_option("FILE", a_.files, "Specs of VMs, in JSON; - is standard input")->required(), Expects::file)
      ->type_name("");
  vm_verb(
      "edit", "Change the spec of a VM in an editor",
      "The editor is $VISUAL, $EDITOR or vi. What a VM that runs cannot take over at once waits for its next start, "
      "and is named. A text that is wrong is never lost.",
      [this](const Link& l, const Common& c) { return edit(l, c, a_.name); });
}

void CommandLine::add_lifecycle_verbs() {
  CLI::App* start_command = vms_verb(
      "start", "Start VMs", "", [this](const Link& l, const Common& c) -> Result<int> { return start(l, c, names()); });
  add_timeout(start_command, "Give up and undo the start after this time, for example 30s");

  CLI::App* stop_command =
      vms_verb("stop", "Stop VMs, prove that nothing of them is left, and report",
               "The guest is asked to shut down; when its grace is over it is forced. Ctrl-C ends the waiting and not "
               "the stop; a second one within 3 seconds forces it.",
               [this](const Link& l, const Common& c) -> Result<int> {
                 TRY(const StopOptions options, stop_options());
                 return stop(l, c, names(), options);
               });
  add_stop_options(stop_command);
  stop_command->add_flag("--dry-run", a_.dry_run, "Only print what would be done");
  add_timeout(stop_command, "Wait no longer than this; the stop goes on");

  CLI::App* restart_command =
      vms_verb("restart", "Stop VMs, and start them again", "", [this](const Link& l, const Common& c) -> Result<int> {
        TRY(const StopOptions options, stop_options());
        return restart(l, c, names(), options);
      });
  add_stop_options(restart_command);
  add_timeout(restart_command, "Wait no longer than this; the restart goes on");

  CLI::App* remove_command =
      vms_verb("remove", "Remove stopped VMs; their disk images stay", "",
               [this](const Link& l, const Common& c) -> Result<int> {
                 return remove(l, c, names(), {.force = flag(a_.force), .keep_logs = flag(a_.keep_logs)});
               });
  remove_command->add_flag("--force", a_.force, "Stop them by force first");
  remove_command->add_flag("--keep-logs", a_.keep_logs, "Move their logs to the folder logs of the home directory");
  add_timeout(remove_command, "Wait no longer than this");

  CLI::App* wait_command = verb(app_, "wait", "Wait until VMs are running, stopped or removed",
                                "It fails at once for a VM that failed, is stuck or is lost, and says why.",
                                [this](const Link& l, const Common& c) { return wait_for(l, c, a_.names, a_.state); });
  expects(wait_command->add_option("NAME", a_.names, "The VMs")->required(), Expects::vm)->type_name("");
  choices(wait_command->add_option("--for", a_.state, "What is waited for")->required(),
          {"running", "stopped", "removed"})
      ->type_name("STATE");
  add_timeout(wait_command, "Wait no longer than this, for example 30s; default: for ever");
}

void CommandLine::add_reading_verbs() {
  verb(app_, "list", "List all VMs", "", [](const Link& l, const Common& c) { return list(l, c); });
  vm_verb("info", "Show a VM", "", [this](const Link& l, const Common& c) { return info(l, c, a_.name); });
  CLI::App* logs_command = vm_verb("logs", "Show a log of a VM", "", [this](const Link& l, const Common& c) {
    return logs(l, c, a_.name, {.source = a_.source, .follow = flag(a_.follow), .tail = a_.tail});
  });
  logs_command->add_option("--source", a_.source, "console (the default), agent, or a log of the driver")
      ->type_name("LOG");
  add_log_options(logs_command);
  vm_verb("console", "Connect to the console of a VM; Ctrl-] leaves", "",
          [this](const Link& l, const Common& c) { return console(l, c, a_.name); });
  CLI::App* events_command =
      verb(app_, "events", "Show what happened", "With --follow and --json each event is a document in a line.",
           [this](const Link& l, const Common& c) {
             return events(l, c, {.follow = flag(a_.follow), .after = a_.after, .vm = a_.name});
           });
  events_command->add_flag("-f,--follow", a_.follow, "Go on with what happens");
  events_command->add_option("--after", a_.after, "Only events after that of this number")->type_name("ID");
  expects(events_command->add_option("--vm", a_.name, "Only those of this VM"), Expects::vm)->type_name("NAME");
}

void CommandLine::add_care_verbs() {
  verb(app_, "doctor", "Look for what is wrong, and say what to do about it",
       "How VMs are contained here and why not better, which drivers work, what earlier runs left, and which VMs need "
       "attention. The exit code is 1 when something is broken.",
       [](const Link& l, const Common& c) { return doctor(l, c); });
  CLI::App* repair_command = verb(app_, "repair", "End what earlier runs left and no VM claims",
                                  "Only what is provably left of runs of this home is touched.",
                                  [this](const Link& l, const Common& c) { return repair(l, c, flag(a_.dry_run)); });
  repair_command->add_flag("--dry-run", a_.dry_run, "Only look");
  CLI::App* bundle_command =
      verb(app_, "support-bundle", "Write an archive with what helps to find a fault",
           "Logs, ledgers, reports, events and versions. Passwords, tokens and keys are left out as far as they can be "
           "told, and so is what a driver declares to be secret; look into it before you give it away. It works "
           "without a daemon, and starts none.",
           [this](const Link& l, const Common& c) {
             return support_bundle(l, c, {.file = a_.file, .with_console = flag(a_.with_console)}, version_);
           });
  expects(bundle_command->add_option("FILE", a_.file, "The archive, a .tar.gz that is not there yet"), Expects::file)
      ->type_name("");
  bundle_command->add_flag("--with-console", a_.with_console, "What guests said on their consoles too");
  CLI::App* completion_command =
      verb(app_, "completion", "Print a script that completes commands in a shell",
           "For bash: source <(bulkhead completion bash)\n\nFor zsh: bulkhead completion zsh >~/.zfunc/_bulkhead\n\n"
           "For fish: bulkhead completion fish >~/.config/fish/completions/bulkhead.fish\n\n"
           "For PowerShell: bulkhead completion powershell | Out-String | Invoke-Expression",
           [this](const Link& l, const Common&) { return print_completion(l); });
  CLI::Option* shell = completion_command->add_option("SHELL", a_.shell, "The shell")->required();
  shell->check(CLI::IsMember({"bash", "zsh", "fish", "powershell", "names"}))->type_name("");
  expects(shell, Expects::choice);
  choices_[shell] = {"bash", "zsh", "fish", "powershell"};
  CLI::App* manual_command =
      verb(app_, "manual", "Write the manual pages", "", [this](const Link&, const Common&) { return write_manual(); });
  manual_command->group("");
  manual_command->add_option("FOLDER", a_.file, "Where to")->required();
}

void CommandLine::add_host_verbs() {
  CLI::App* driver = app_.add_subcommand("driver", "Look at drivers");
  driver->require_subcommand(1);
  verb(*driver, "list", "List the drivers that are installed", "",
       [](const Link& l, const Common& c) { return driver_list(l, c); });

  CLI::App* host = app_.add_subcommand("host", "Start, stop or look at the daemon");
  host->require_subcommand(1);
  verb(*host, "start", "Start the daemon", "", [](const Link& l, const Common& c) { return host_start(l, c); });
  CLI::App* stop_command = verb(*host, "stop", "Stop all VMs, then the daemon", "",
                                [this](const Link& l, const Common& c) { return host_stop(l, c, flag(a_.keep_vms)); });
  stop_command->add_flag("--keep-vms", a_.keep_vms, "Let the VMs run on; the next daemon adopts them");
  add_timeout(stop_command, "Give the VMs this long, for example 60s");
  verb(*host, "status", "Does the daemon run?", "The exit code is 1 when it does not.",
       [](const Link& l, const Common& c) { return host_status(l, c); });
  verb(*host, "run", "Run the daemon in the foreground",
       "It logs to standard error. Ctrl-C stops all VMs, and then it.",
       [this](const Link& l, const Common&) { return host_run(l, log_level()); });
  CLI::App* logs_command = verb(*host, "logs", "Show the daemon's log", "", [this](const Link& l, const Common& c) {
    return host_logs(l, c, {.follow = flag(a_.follow), .tail = a_.tail});
  });
  add_log_options(logs_command);
  verb(*host, "reload", "Have the daemon read host.json again",
       "What changed is named, and whether it is in force at once or after the next start of the daemon.",
       [](const Link& l, const Common& c) { return host_reload(l, c); });
}

}  // namespace bulkhead::cli
