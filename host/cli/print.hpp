#pragma once

#include <string>

#include "base/json.hpp"
#include "cli/table.hpp"

// What people see; each function makes the whole text, with its last newline. Pure.
namespace bulkhead::cli {

std::string render_error(const Error& error);
std::string render_list(const Json& vms, Style style);
std::string render_info(const Json& vm, Style style);
// Of a start or restart; the VM's warnings go with it.
std::string render_started(const Json& vm);
// Fits a screen: what happened, in plain words.
std::string render_stop(const Json& report, Style style);
// The same in one line.
std::string render_stop_line(const Json& report);
std::string render_plan(const Json& plan, Style style);
std::string render_removed(const std::string& vm, const Json& result);
// One line.
std::string render_event(const Json& event, Style style);

std::string render_drivers(const Json& drivers, Style style);
std::string render_host(const Json& host, Style style);
std::string render_repair(const Json& repair, Style style);
std::string render_reload(const Json& changes, Style style);

// The list at `key`, or an empty one.
const Json& list_at(const Json& object, const char* key);

}  // namespace bulkhead::cli
