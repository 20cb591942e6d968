#pragma once

#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/units.hpp"
#include "cli/link.hpp"

// One function per command. Each prints its result, and returns the exit code or the error to print.
namespace bulkhead::cli {

enum class Format { text, json };

struct Common {
  Format format = Format::text;
  std::optional<milliseconds> timeout{};
};

struct StopOptions {
  Flag force = Flag::off;
  std::optional<milliseconds> grace{};
  Flag dry_run = Flag::off;
};

Result<int> create(const Link& link, const Common& common, const std::string& file);
Result<int> start(const Link& link, const Common& common, const std::string& name);
Result<int> stop(const Link& link, const Common& common, const std::string& name, const StopOptions& options);
Result<int> list(const Link& link, const Common& common);
Result<int> info(const Link& link, const Common& common, const std::string& name);
Result<int> remove(const Link& link, const Common& common, const std::string& name, Flag force);
Result<int> logs(const Link& link, const Common& common, const std::string& name, const std::string& source);
Result<int> console(const Link& link, const Common& common, const std::string& name);
Result<int> driver_list(const Link& link, const Common& common);
// 1 when something is broken.
Result<int> doctor(const Link& link, const Common& common);
Result<int> host_start(const Link& link, const Common& common);
Result<int> host_stop(const Link& link, const Common& common, Flag keep_vms);
Result<int> host_status(const Link& link, const Common& common);

}  // namespace bulkhead::cli
