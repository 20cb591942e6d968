#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>

#include "api/server.hpp"
#include "base/failpoint.hpp"
#include "contain/cgroup.hpp"
#include "contain/scope.hpp"
#include "daemon/daemon.hpp"
#include "daemon/life.hpp"
#include "daemon/resources.hpp"
#include "os/file.hpp"
#include "os/lock.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"
#include "os/service.hpp"

namespace bulkhead::daemon {
namespace {

struct Arguments {
  std::string home;
  std::vector<std::string> driver_folders;
  Wishes wishes;
  bool log_to_stderr = false;
  std::vector<std::string> words;  // all of them, as given
};

int report(const Error& error) {
  std::cerr << "bulkheadd: " << error.what << "\n";
  for (const Problem& problem : error.problems) {
    std::cerr << "  " << problem.pointer << ": " << problem.reason << "\n";
    if (!problem.hint.empty()) std::cerr << "      " << problem.hint << "\n";
  }
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
                                                          const std::filesystem::path& program_folder,
                                                          const store::HostConfig& config) {
  std::vector<std::filesystem::path> folders(arguments.driver_folders.begin(), arguments.driver_folders.end());
  if (auto list = os::environment("BULKHEAD_DRIVER_PATH"); list && ::geteuid() == ::getuid()) {
    for (std::size_t at = 0; at <= list->size();) {
      const auto end = std::min(list->find(':', at), list->size());
      if (end > at) folders.emplace_back(list->substr(at, end - at));
      at = end + 1;
    }
  }
  folders.insert(folders.end(), config.driver_folders.begin(), config.driver_folders.end());
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

// Without a file all is as by default.
Result<store::HostConfig> read_host_config(const std::filesystem::path& home) {
  auto text = os::read_file(home / "host.json");
  if (!text && text.error().code != Code::not_found) return std::unexpected(text.error());
  std::optional<std::string> found;
  if (text) found = *std::move(text);
  return store::read_host_config(found, home);
}

// What can change in a daemon that runs does so at once, also in the agents that are started from now on.
Result<Json> reload(const std::filesystem::path& home, Settings& settings, Activity& activity, const Log& log) {
  TRY(const store::HostConfig file, read_host_config(home));
  const Settings::Change change = settings.reload(file);
  activity.idle.set_limit(settings.now().idle_exit);
  Json answer = to_json(change);
  const bool heard = log.level() <= LogLevel::info;
  if (heard) log.info("host.json was read again: " + dump(answer));
  log.set_level(settings.now().log.level);
  log.set_format(settings.now().log.format);
  if (!heard) log.info("host.json was read again: " + dump(answer));
  return answer;
}

Result<Json> told_reload(const os::Service& service, const Log& log, const std::function<Result<Json>()>& perform) {
  if (auto told = service.reloading(); !told) log.warning(told.error().what);
  auto done = perform();
  if (auto told = service.ready(); !told) log.warning(told.error().what);
  return done;
}

// A user has no cgroup of his own until systemd delegates one: then this program begins anew inside it.
Result<contain::Provided> choose_containment(const std::string& wish, const Arguments& arguments,
                                             const os::Service& service, const std::filesystem::path& programs) {
  const auto wanted = contain::mechanism_named(wish);
  std::string no_scope;
  const bool cgroup_wanted = !wanted || wanted == contain::Mechanism::cgroup;
  if (::geteuid() != 0 && cgroup_wanted && service.managed()) {
    no_scope = "; this service's unit needs Delegate=yes";  // elsewhere its manager would lose it
  } else if (::geteuid() != 0 && cgroup_wanted && !contain::Cgroup::base()) {
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
  os::Service service = os::Service::from_environment();
  TRY(const std::filesystem::path programs, os::program_directory());
  TRY(const std::filesystem::path home, os::home_directory(arguments.home));
  TRY(const store::HostConfig file, read_host_config(home));
  TRY(Settings settings, Settings::of(arguments.wishes, file));
  TRY(contain::Provided containment, choose_containment(settings.now().containment, arguments, service, programs));
  TRY(const store::Store store, store::Store::open(home));
  TRY(const os::FileLock host_lock, take_host_lock(home));
  TRY(const std::filesystem::path runtime, os::runtime_directory(home));
  CHECKED(os::make_private_directory(runtime.parent_path()));
  CHECKED(os::make_private_directory(runtime));
  const std::filesystem::path socket_path = runtime / "host.sock";
  TRY(os::UniqueHandle socket, service.take_listener(socket_path));
  const bool passed = static_cast<bool>(socket);
  TRY(std::vector<std::filesystem::path> folders, driver_folders(arguments, home, programs, settings.now()));
  Log log = Log::to_stderr(settings.now().log);
  if (!arguments.log_to_stderr) {
    TRY(log, Log::to_file(home / "bulkheadd.log", settings.now().log));
  }
  // What an agent leaves when it dies becomes ours, so that its end can be seen.
  CHECKED(os::become_subreaper());
  os::raise_file_limit();
  if (auto swept = store.sweep(); !swept) log.warning(swept.error().what);
  // For people, and for clients whose runtime directory is another one. A full disk must not keep VMs from being
  // stopped.
  for (const auto& [name, text] : {std::pair{home / "host.pid", std::to_string(::getpid())},
                                   std::pair{home / "host.socket", socket_path.string()}}) {
    if (auto written = os::write_atomically(name, text + "\n"); !written) log.warning(written.error().what);
  }

  Activity activity;
  activity.idle.set_limit(settings.now().idle_exit);
  asio::io_context context(1);
  asio::thread_pool pool(16);  // looks and kill rounds, each a fraction of a second
  Scope scope(context.get_executor(), log);
  Endings endings;
  Events events(home, log);
  const auto reload_now = [&] { return reload(home, settings, activity, log); };
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
                                  .log = log,
                                  .settings = settings,
                                  .reload = [&] { return told_reload(service, log, reload_now); }};
  Daemon daemon(surroundings);
  Resources resources(daemon, surroundings);
  if (!passed) {
    TRY(socket, os::listen_on(socket_path));
  }
  TRY(os::Listener listener, os::Listener::adopt(context.get_executor(), std::move(socket)));
  api::Server server(
      std::move(listener), [&](api::Request r) { return answer(&resources, &activity, std::move(r)); }, api::Limits{},
      scope, log);
  asio::signal_set child_signals(context, SIGCHLD);
  scope.spawn("children", reap_children(&child_signals, &endings));
  Life life(context, daemon, resources, server, activity, service, surroundings);
  life.begin();
  log.info("containment: " + std::string(contain::name(surroundings.containment.mechanism)));
  for (const auto& obstacle : surroundings.containment.obstacles) {
    log.info("containment by " + std::string(contain::name(obstacle.mechanism)) + " cannot be had: " + obstacle.why);
  }
  log.info(std::string("bulkheadd ") + BULKHEAD_VERSION + ", pid " + std::to_string(::getpid()) + ", home " +
           home.string());
  context.run();
  pool.join();
  if (passed) return {};  // it is the service manager's, and the next daemon's
  return os::remove_entry(socket_path);
}

}  // namespace
}  // namespace bulkhead::daemon

int main(int argc, char** argv) {
  using namespace bulkhead;
  daemon::Arguments arguments;
  CLI::App app("Runs virtual machines through driver plugins. Usually started by `bulkhead`.", "bulkheadd");
  app.add_option("--home", arguments.home, "Home directory; default: $BULKHEAD_HOME, or the user's state directory");
  app.add_option("--driver-dir", arguments.driver_folders, "Look for drivers here first");
  app.add_option("--log-level", arguments.wishes.log_level, "debug, info, warning or error");
  app.add_flag("--log-to-stderr", arguments.log_to_stderr, "Log to the terminal instead of HOME/bulkheadd.log");
  app.add_option("--idle-exit", arguments.wishes.idle_exit,
                 "End when no VM has run and nobody has asked for this long, for example 10m; or never");
  app.add_option("--containment", arguments.wishes.containment,
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
  arguments.wishes.log_level_of_environment = os::environment("BULKHEAD_LOG_LEVEL").value_or("");
  failpoint_program("daemon");
  std::signal(SIGHUP, SIG_IGN);  // until it can be obeyed
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);  // whoever started us may ignore it; then no child's end could be seen
  try {
    const auto done = daemon::run(arguments);
    return done ? 0 : daemon::report(done.error());
  } catch (const std::exception& e) {
    return daemon::report({.code = Code::internal, .what = e.what()});
  }
}
