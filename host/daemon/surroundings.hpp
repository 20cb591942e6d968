#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <vector>

#include "base/async.hpp"
#include "base/log.hpp"
#include "catalogue/catalogue.hpp"
#include "store/store.hpp"

namespace bulkhead::daemon {

// What every VM of one daemon works with. Built by main, passed down, outlives all of them.
struct Surroundings {
  asio::any_io_executor executor;
  asio::thread_pool& pool;
  Scope& scope;
  const store::Store& store;
  std::filesystem::path runtime_directory;
  std::filesystem::path agent_program;
  std::vector<std::filesystem::path> driver_folders;
  Log log;
};

}  // namespace bulkhead::daemon
