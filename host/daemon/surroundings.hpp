#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/async.hpp"
#include "base/log.hpp"
#include "catalogue/catalogue.hpp"
#include "contain/containment.hpp"
#include "daemon/events.hpp"
#include "daemon/settings.hpp"
#include "os/process.hpp"
#include "store/store.hpp"

namespace bulkhead::daemon {

// How this daemon's children ended, by pid; the last few hundred.
class Endings {
 public:
  void add(const os::Reaped& reaped);
  // "killed by signal 11", "exited with code 0"; "" when it is not known.
  std::string of(std::int64_t pid) const;
  std::size_t total() const { return total_; }

 private:
  std::deque<os::Reaped> endings_;
  std::size_t total_ = 0;
};

// What every VM of one daemon works with. Built by main, passed down, outlives all of them.
struct Surroundings {
  asio::any_io_executor executor;
  asio::thread_pool& pool;
  Scope& scope;
  const store::Store& store;
  const Endings& endings;
  Events& events;
  std::filesystem::path runtime_directory;
  contain::Provided containment;
  std::filesystem::path agent_program;
  std::vector<std::filesystem::path> driver_folders;
  Log log;
  const Settings& settings;
  // Reads host.json again: {"applied", "needs_restart", "overridden"}, each JSON pointers of what has changed. When the
  // file is wrong, all stays as it was, and the error has its problems.
  std::function<Result<Json>()> reload;
};

}  // namespace bulkhead::daemon
