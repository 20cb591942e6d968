#pragma once

#include <string>

#include "base/json.hpp"

// What people see; each function makes the whole text, with its last newline. Pure.
namespace bulkhead::cli {

std::string render_error(const Error& error);
std::string render_list(const Json& vms);
std::string render_info(const Json& vm);
// Fits a screen: what happened, in plain words.
std::string render_stop(const Json& report);
std::string render_plan(const Json& plan);
std::string render_drivers(const Json& drivers);
std::string render_host(const Json& host);
// Of /v1/host and /v1/drivers.
std::string render_doctor(const Json& host, const Json& drivers);

}  // namespace bulkhead::cli
