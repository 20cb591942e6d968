#pragma once

#include <chrono>
#include <string>

namespace bulkhead {

// RFC 3339 in UTC with milliseconds: "2024-05-01T12:00:00.123Z".
std::string timestamp(std::chrono::system_clock::time_point time);
inline std::string timestamp_now() { return timestamp(std::chrono::system_clock::now()); }

}  // namespace bulkhead
