#include "cli/link.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "api/client.hpp"
#include "os/file.hpp"
#include "os/paths.hpp"
#include "os/pipe.hpp"
#include "os/process.hpp"

namespace bulkhead::cli {

namespace {
constexpr milliseconds daemon_start_time{30'000};
}  // namespace

Result<Link> Link::open(const std::string& home_option, std::optional<std::string> log_level) {
  TRY(std::filesystem::path home, os::home_directory(home_option));
  TRY(const std::filesystem::path runtime, os::runtime_directory(home));
  return Link{std::move(home), runtime / "host.sock", std::move(log_level)};
}

Result<Json> Link::call(const api::Request& request, Deadline deadline) const {
  auto response = api::call_and_wait(socket(), request, deadline);
  const bool went_away = !response && response.error().code == Code::unavailable;
  if (went_away && request.method == "GET") response = api::call_and_wait(socket(), request, deadline);
  if (!response) return std::unexpected(response.error());
  return api::outcome(*std::move(response));
}

Result<Json> Link::ask(const api::Request& request, Deadline deadline) const {
  CHECKED(ensure_daemon());
  return call(request, deadline);
}

Result<void> Link::stream(api::Request request, const std::function<bool(const Json&)>& take, Deadline deadline) const {
  request.headers["accept"] = "text/event-stream";
  return api::stream_and_wait(socket(), std::move(request), take, deadline);
}

// The daemon's own word on where it listens: it may have been started with another XDG_RUNTIME_DIR than ours.
std::filesystem::path Link::socket() const {
  const auto said = os::read_file(home_ / "host.socket");
  return said && said->starts_with("/") ? std::filesystem::path(said->substr(0, said->find('\n'))) : usual_socket_;
}

bool Link::answers(Deadline deadline) const {
  return call({.method = "GET", .path = "/v1/host"}, std::min(deadline, Clock::now() + milliseconds{5'000}))
      .has_value();
}

Result<void> Link::ensure_daemon(std::optional<Deadline> limit) const {
  const Deadline deadline = std::min(limit.value_or(Deadline::max()), Clock::now() + daemon_start_time);
  if (answers(deadline)) return {};
  auto started = start_daemon(deadline);
  if (started) return started;
  // Somebody else may have started one at the same moment: ours was refused, and that one is about to listen.
  const bool busy = started.error().code == Code::busy;
  const Deadline patience = busy ? deadline : std::min(deadline, Clock::now() + milliseconds{2'000});
  while (Clock::now() < patience) {
    if (answers(deadline)) return {};
    std::this_thread::sleep_for(milliseconds{50});
  }
  return started;
}

Result<void> Link::start_daemon(Deadline deadline) const {
  CHECKED(os::make_private_directory(home_));
  TRY(const std::filesystem::path programs, os::program_directory());
  TRY(os::Pipe words, os::make_pipe());
  os::Spawn spawn;
  spawn.argv = {(programs / "bulkheadd").string(), "--home", home_.string()};
  if (log_level_) spawn.argv.insert(spawn.argv.end(), {"--log-level", *log_level_});
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (const auto equals = text.find('='); equals != std::string::npos) {
      spawn.env[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  spawn.place = os::Spawn::Place::own_session;  // a Ctrl-C in this terminal is not meant for the VMs
  spawn.out = {.to = os::Output::To::handle, .handle = words.write.get()};
  spawn.err = {.to = os::Output::To::file, .path = (home_ / "bulkheadd.stderr").string()};
  const std::size_t said_before = os::read_file(spawn.err.path).value_or("").size();
  TRY(const os::Process daemon, os::spawn(spawn, [](const os::Identity&) { return Result<void>{}; }));
  words.write = os::UniqueHandle{};
  auto line = os::read_line(words.read, deadline);
  if (!line) return std::unexpected(within("start bulkheadd", line.error()));
  if (*line == "ready") return {};
  std::string said = os::read_file(spawn.err.path).value_or("");
  said.erase(0, std::min(said_before, said.size()));
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const bool other = said.find("another bulkheadd serves it") != std::string::npos;
  return fail(other ? Code::busy : Code::unavailable, "start bulkheadd: " + (said.empty() ? "it ended at once" : said),
              "see: " + (home_ / "bulkheadd.log").string());
}

}  // namespace bulkhead::cli
