#pragma once

#include <string_view>

namespace bulkhead {

// A place where a test may end this process, as kill -9 would: BULKHEAD_FAILPOINT="PROGRAM/NAME/N" does so at the N-th
// passage (from 1) of NAME in the program that called failpoint_program(PROGRAM). Built only with the CMake option
// BULKHEAD_FAILPOINTS; elsewhere these are empty.
#if defined(BULKHEAD_FAILPOINTS)
void failpoint_program(std::string_view program);
void failpoint(std::string_view name);
#else
inline void failpoint_program(std::string_view) {}
inline void failpoint(std::string_view) {}
#endif

inline constexpr const char* failpoint_variable = "BULKHEAD_FAILPOINT";
// A file that is created when it happens.
inline constexpr const char* failpoint_mark_variable = "BULKHEAD_FAILPOINT_MARK";

}  // namespace bulkhead
