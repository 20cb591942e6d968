#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/units.hpp"
#include "cli/link.hpp"
#include "cli/output.hpp"

// One function per command. Each prints its result, and returns the exit code or the error to print.
namespace bulkhead::cli {

constexpr int exit_interrupted = 130;

// Several, or all.
struct Names {
  std::vector<std::string> names;
  Flag all = Flag::off;
};

struct StopOptions {
  Flag force = Flag::off;
  std::optional<milliseconds> grace{};
  Flag dry_run = Flag::off;
};

struct RemoveOptions {
  Flag force = Flag::off;
  Flag keep_logs = Flag::off;
};

struct LogOptions {
  std::string source = "console";
  Flag follow = Flag::off;
  std::optional<std::size_t> tail{};  // lines
};

struct EventOptions {
  Flag follow = Flag::off;
  std::optional<std::uint64_t> after{};
  std::string vm{};
};

struct BundleOptions {
  std::string file{};  // empty: named after the time
  Flag with_console = Flag::off;
};

Result<int> start(const Link& link, const Common& common, const Names& names);
Result<int> stop(const Link& link, const Common& common, const Names& names, const StopOptions& options);
Result<int> restart(const Link& link, const Common& common, const Names& names, const StopOptions& options);
Result<int> remove(const Link& link, const Common& common, const Names& names, const RemoveOptions& options);

Result<int> create(const Link& link, const Common& common, const std::string& file);
// Created if there is none of that name, and started if it does not run.
Result<int> run(const Link& link, const Common& common, const std::string& file);
Result<int> validate(const Link& link, const Common& common, const std::vector<std::string>& files);
Result<int> edit(const Link& link, const Common& common, const std::string& name);

Result<int> list(const Link& link, const Common& common);
Result<int> info(const Link& link, const Common& common, const std::string& name);
Result<int> logs(const Link& link, const Common& common, const std::string& name, const LogOptions& options);
Result<int> console(const Link& link, const Common& common, const std::string& name);
Result<int> events(const Link& link, const Common& common, const EventOptions& options);
// Until each is running, stopped or removed. 1: one went another way.
Result<int> wait_for(const Link& link, const Common& common, const std::vector<std::string>& names,
                     const std::string& state);

Result<int> driver_list(const Link& link, const Common& common);
// 1 when something is broken.
Result<int> doctor(const Link& link, const Common& common);
Result<int> repair(const Link& link, const Common& common, Flag dry_run);
Result<int> support_bundle(const Link& link, const Common& common, const BundleOptions& options,
                           const std::string& version);

Result<int> host_start(const Link& link, const Common& common);
Result<int> host_stop(const Link& link, const Common& common, Flag keep_vms);
Result<int> host_status(const Link& link, const Common& common);
// bulkheadd in place of this program.
Result<int> host_run(const Link& link, const std::optional<std::string>& log_level);
Result<int> host_logs(const Link& link, const Common& common, const LogOptions& options);
Result<int> host_reload(const Link& link, const Common& common);

// The names of all VMs, one in a line, from the home directory: quick, and no daemon is needed.
Result<int> print_names(const Link& link);

// Shared by them: "/v1/vms/NAME" of a name that was checked, and what the daemon says of that VM.
Result<std::string> vm_path(const std::string& name);
Result<Json> vm_info(const Link& link, const std::string& name);

}  // namespace bulkhead::cli
