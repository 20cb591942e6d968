#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include "agent/agent.hpp"
#include "base/failpoint.hpp"
#include "catalogue/manifest.hpp"
#include "driver/loader.hpp"
#include "os/file.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"

namespace bulkhead::agent {
namespace {

struct Arguments {
  std::string vm;
  std::string home;
  std::string run;
  std::string log_level = "info";
  std::string log_format = "text";
  std::uint64_t log_max_size = count(LogSettings{}.max_size);
  int log_keep = LogSettings{}.keep;
  std::int64_t socket = os::no_handle;
  std::int64_t lock = os::no_handle;
  std::string describe;
  std::string write;
};

int report(const Error& error) {
  std::cerr << "bulkhead-agent: " << error.what << "\n";
  if (!error.hint.empty()) std::cerr << "  " << error.hint << "\n";
  return exit_code(error.code);
}

// The manifest of a driver, as the build writes it beside the library.
Result<void> describe(const Arguments& arguments) {
  TRY(const bulkhead_entry* entry, driver::load(std::filesystem::absolute(arguments.describe)));
  TRY(const Json manifest, catalogue::describe(*entry->descriptor));
  const std::string text = dump_pretty(manifest) + "\n";
  if (arguments.write.empty()) {
    std::cout << text;
    return {};
  }
  return os::write_atomically(std::filesystem::absolute(arguments.write), text, os::Readable::by_everybody);
}

Result<void> run(const Arguments& arguments) {
  TRY(const VmName name, VmName::parse(arguments.vm));
  TRY(const RunId run_id, RunId::parse(arguments.run));
  LogSettings settings{.max_size = Bytes{arguments.log_max_size}, .keep = arguments.log_keep};
  TRY(settings.level, parse_log_level(arguments.log_level));
  TRY(settings.format, parse_log_format(arguments.log_format));
  TRY(const store::Store store, store::Store::attach(arguments.home));
  const store::VmPaths paths = store.paths(name);
  TRY(const store::LedgerView view, store::Ledger::read(paths.ledger));
  if (view.beginning->run != run_id || view.ended) {
    return fail(Code::invalid, "run '" + arguments.vm + "': the ledger is not of run " + arguments.run);
  }
  TRY(store::Ledger ledger, store::Ledger::open(paths.ledger));
  // What a driver's libraries print is in the log too, and does not keep an old one from going away.
  TRY(const Log file, Log::to_file(paths.agent_log, settings, os::print_into));
  const Log log = file.about(arguments.vm);
  CHECKED(os::become_subreaper());
  TRY(const std::filesystem::path programs, os::program_directory());
  asio::io_context context(1);
  TRY(os::Listener listener, os::Listener::adopt(context.get_executor(), os::UniqueHandle(arguments.socket)));
  Agent agent(context, paths, *view.beginning, std::move(ledger), std::move(listener), os::UniqueHandle(arguments.lock),
              programs, view.agents() > 1 ? Agent::Came::later : Agent::Came::first, log);
  agent.run();
  return {};
}

}  // namespace
}  // namespace bulkhead::agent

int main(int argc, char** argv) {
  using namespace bulkhead;
  agent::Arguments arguments;
  CLI::App app("Runs one VM through its driver. Started by bulkheadd, not by hand.", "bulkhead-agent");
  app.add_option("vm", arguments.vm, "The VM's name");
  app.add_option("--home", arguments.home, "The home directory");
  app.add_option("--run", arguments.run, "The run's id");
  app.add_option("--socket", arguments.socket, "Handle of the listening socket");
  app.add_option("--lock", arguments.lock, "Handle of the VM's lock");
  app.add_option("--log-level", arguments.log_level, "debug, info, warning or error");
  app.add_option("--log-format", arguments.log_format, "text or json");
  app.add_option("--log-max-size", arguments.log_max_size, "Of one log file, in bytes");
  app.add_option("--log-keep", arguments.log_keep, "How many older log files are kept");
  app.add_option("--describe", arguments.describe, "Print the manifest of this driver library, and exit");
  app.add_option("--write", arguments.write, "Write it to this file instead");
  CLI11_PARSE(app, argc, argv);
  // The daemon, or a client behind it, may go away while it is answered.
  failpoint_program("agent");
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const auto done = arguments.describe.empty() ? agent::run(arguments) : agent::describe(arguments);
    return done ? 0 : agent::report(done.error());
  } catch (const std::exception& e) {
    return agent::report({.code = Code::internal, .what = e.what()});
  }
}
