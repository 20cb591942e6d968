#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <iostream>
#include <string>
#include <unistd.h>

#include "api/server.hpp"
#include "base/failpoint.hpp"
#include "contain/cgroup.hpp"
#include "contain/scope.hpp"
#include "daemon/daemon.hpp"
#include "daemon/resources.hpp"
#include "os/file.hpp"
#include "os/lock.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"

namespace bulkhead::daemon {
namespace {

struct Arguments {
  std::string home;
  std::vector<std::string> driver_folders;
  std::string log_level = "info";
  bool log_to_stderr = false;
  std::string containment = "strongest";
  std::vector<std::string> words;  // all of them, as given
};

int report(const Error& error) {
  std::cerr << "bulkheadd: " << error.what << "\n";
  if (!error.hint.empty()) std::cerr << "  " << error.hint << "\n";
  return exit_code(error.code);
}

// One daemon per home: the lock is held until this process ends; what is written in the file only helps people.
Result<os::FileLock> take_host_lock(const std::filesystem::path& home) {
  const auto path = home / "host.lock";
  auto lock = os::FileLock::acquire(path, os::FileLock::Mode::exclusive, os::FileLock::If::create);
  if (lock) return lock;
  if (lock.error().code != Code::busy) return lock;
  std::string pid = os::read_file(home / "host.pid").value_or("unknown");
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return fail(Code::busy, "use home '" + home.string() + "': another bulkheadd serves it, pid " + pid,
              "see: bulkhead host status");
}

Result<std::vector<std::filesystem::path>> driver_folders(const Arguments& arguments, const std::filesystem::path& home,
                                                          const std::filesystem::path& program_folder) {
  std::vector<std::filesystem::path> folders(arguments.driver_folders.begin(), arguments.driver_folders.end());
  if (auto list = os::environment("BULKHEAD_DRIVER_PATH"); list && ::geteuid() == ::getuid()) {
    for (std::size_t at = 0; at <= list->size();) {
      const auto end = std::min(list->find(':', at), list->size());
      if (end > at) folders.emplace_back(list->substr(at, end - at));
      at = end + 1;
    }
  }
  folders.push_back(home / "drivers");
  folders.push_back((program_folder / "../lib/bulkhead/drivers").lexically_normal());
  for (auto& folder : folders) folder = std::filesystem::absolute(folder);
  return folders;
}

Task<void> reap_children(asio::signal_set* signals, Endings* endings) {
  auto token = asio::as_tuple(asio::use_awaitable);
  for (;;) {
    for (const os::Reaped& reaped : os::reap_exited()) endings->add(reaped);
    auto waited = co_await signals->async_wait(token);
    if (std::get<0>(waited)) co_return;
  }
}

// The first signal stops the VMs and then the daemon; a later one leaves the VMs and ends the daemon at once.
Task<void> obey_signals(asio::signal_set* signals, Daemon* daemon) {
  auto token = asio::as_tuple(asio::use_awaitable);
  auto first = co_await signals->async_wait(token);
  if (std::get<0>(first)) co_return;
  daemon->ask_for_end(Daemon::Vms::stop);
  auto second = co_await signals->async_wait(token);
  if (std::get<0>(second)) co_return;
  daemon->ask_for_end(Daemon::Vms::keep);
}

Task<void> live(Daemon* daemon, api::Server* server, Events* events, asio::io_context* context,
                asio::signal_set* signals, Scope* scope, Log log) {
  co_await daemon->open();
  co_await daemon->look_for_orphans();
  scope->spawn("signals", obey_signals(signals, daemon));  // what came before now is not lost: it waits
  scope->spawn("server", server->serve());
  log.info("ready");
  // Whoever started us waits for this line.
  std::cout << "ready" << std::endl;
  daemon->start_wanted();
  co_await daemon->wait_for_end();
  server->close();
  events->close();
  co_await server->drain(Clock::now() +
                         milliseconds{500});  // the answer to the request that asked for it goes out first
  log.info("end");
  context->stop();
}

// A user has no cgroup of his own until systemd delegates one: then this program begins anew inside it.
Result<contain::Provided> choose_containment(const Arguments& arguments, const std::filesystem::path& programs) {
  const auto wanted = contain::mechanism_named(arguments.containment);
  std::string no_scope;
  const bool cgroup_wanted = !wanted || wanted == contain::Mechanism::cgroup;
  if (::geteuid() != 0 && cgroup_wanted && !contain::Cgroup::base()) {
    std::vector<std::string> command{(programs / "bulkheadd").string()};
    command.insert(command.end(), arguments.words.begin(), arguments.words.end());
    no_scope = "; " + contain::restart_in_scope(command).what;
  }
  auto provided = contain::provide(wanted);
  if (!provided) {
    Error error = provided.error();
    error.what += no_scope;
    return std::unexpected(std::move(error));
  }
  if (!provided->obstacles.empty()) provided->obstacles.front().why += no_scope;
  return provided;
}

Result<void> run(const Arguments& arguments) {
  TRY(const std::filesystem::path programs, os::program_directory());
  TRY(contain::Provided containment, choose_containment(arguments, programs));
  TRY(const std::filesystem::path home, os::home_directory(arguments.home));
  TRY(const LogLevel level, parse_log_level(arguments.log_level));
  TRY(const store::Store store, store::Store::open(home));
  TRY(const os::FileLock host_lock, take_host_lock(home));
  TRY(const std::filesystem::path runtime, os::runtime_directory(home));
  CHECKED(os::make_private_directory(runtime.parent_path()));
  CHECKED(os::make_private_directory(runtime));
  TRY(std::vector<std::filesystem::path> folders, driver_folders(arguments, home, programs));
  Log log = Log::to_stderr(level);
  if (!arguments.log_to_stderr) {
    TRY(log, Log::to_file(home / "bulkheadd.log", level));
  }
  // What an agent leaves when it dies becomes ours, so that its end can be seen.
  CHECKED(os::become_subreaper());
  os::raise_file_limit();
  if (auto swept = store.sweep(); !swept) log.warning(swept.error().what);
  // For people, and for clients whose runtime directory is another one. A full disk must not keep VMs from being
  // stopped.
  const std::filesystem::path socket_path = runtime / "host.sock";
  for (const auto& [file, text] : {std::pair{home / "host.pid", std::to_string(::getpid())},
                                   std::pair{home / "host.socket", socket_path.string()}}) {
    if (auto written = os::write_atomically(file, text + "\n"); !written) log.warning(written.error().what);
  }

  asio::io_context context(1);
  asio::thread_pool pool(16);  // looks and kill rounds, each a fraction of a second
  Scope scope(context.get_executor(), log);
  Endings endings;
  Events events(home, log);
  const Surroundings surroundings{.executor = context.get_executor(),
                                  .pool = pool,
                                  .scope = scope,
                                  .store = store,
                                  .endings = endings,
                                  .events = events,
                                  .runtime_directory = runtime,
                                  .containment = std::move(containment),
                                  .agent_program = programs / "bulkhead-agent",
                                  .driver_folders = std::move(folders),
                                  .log = log};
  Daemon daemon(surroundings);
  Resources resources(daemon, surroundings);
  TRY(os::UniqueHandle socket, os::listen_on(socket_path));
  TRY(os::Listener listener, os::Listener::adopt(context.get_executor(), std::move(socket)));
  api::Server server(
      std::move(listener), [&resources](api::Request r) { return resources.handle(std::move(r)); }, api::Limits{},
      scope, log);
  asio::signal_set child_signals(context, SIGCHLD);
  asio::signal_set end_signals(context, SIGTERM, SIGINT, SIGHUP);
  scope.spawn("children", reap_children(&child_signals, &endings));
  scope.spawn("daemon", live(&daemon, &server, &events, &context, &end_signals, &scope, log));
  log.info("containment: " + std::string(contain::name(surroundings.containment.mechanism)));
  for (const auto& obstacle : surroundings.containment.obstacles) {
    log.info("containment by " + std::string(contain::name(obstacle.mechanism)) + " cannot be had: " + obstacle.why);
  }
  log.info(std::string("bulkheadd ") + BULKHEAD_VERSION + ", pid " + std::to_string(::getpid()) + ", home " +
           home.string());
  context.run();
  pool.join();
  CHECKED(os::remove_entry(socket_path));
  return {};
}

}  // namespace
}  // namespace bulkhead::daemon

int main(int argc, char** argv) {
  using namespace bulkhead;
  daemon::Arguments arguments;
  CLI::App app("Runs virtual machines through driver plugins. Usually started by `bulkhead`.", "bulkheadd");
  app.add_option("--home", arguments.home, "Home directory; default: $BULKHEAD_HOME, or the user's state directory");
  app.add_option("--driver-dir", arguments.driver_folders, "Look for drivers here first");
  app.add_option("--log-level", arguments.log_level, "debug, info, warning or error");
  app.add_flag("--log-to-stderr", arguments.log_to_stderr, "Log to the terminal instead of HOME/bulkheadd.log");
  app.add_option("--containment", arguments.containment,
                 "How VMs are contained: strongest that can be had, cgroup, pid-namespace or process-group")
      ->check(CLI::IsMember({"strongest", "cgroup", "pid-namespace", "process-group"}))
      ->envname("BULKHEAD_CONTAINMENT");
  app.set_version_flag("--version", std::string("bulkheadd ") + BULKHEAD_VERSION);
  arguments.words.assign(argv + 1, argv + argc);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  failpoint_program("daemon");
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);  // whoever started us may ignore it; then no child's end could be seen
  try {
    const auto done = daemon::run(arguments);
    return done ? 0 : daemon::report(done.error());
  } catch (const std::exception& e) {
    return daemon::report({.code = Code::internal, .what = e.what()});
  }
}
