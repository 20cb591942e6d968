#pragma once

#include <string>

#include "base/json.hpp"
#include "daemon/run_stop.hpp"
#include "stop/ladder.hpp"

namespace bulkhead::daemon {

struct StopReason {
  std::string why;           // "asked by a client", "the guest shut down", ...
  bool unexpected = false;   // the VM ended by itself, and not well
  bool unexplained = false;  // the VM ended by itself, and its process' exit code is not known
  bool leftover = false;     // of a run that ended while there was no daemon
  bool ended_well = false;   // a leftover's process is known to have ended with code 0
};

// The stop report, version 1 (sdk/schema/stop-report.schema.json).
Json stop_report(const Run& run, const stop::Ladder& ladder, const RunStop::Notes& notes, const StopReason& reason);

}  // namespace bulkhead::daemon
