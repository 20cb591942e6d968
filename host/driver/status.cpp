#include "driver/status.hpp"

namespace bulkhead::driver {

Code code_of(bulkhead_status status) {
  switch (status) {
    case BULKHEAD_INVALID:
    case BULKHEAD_CONFIG: return Code::invalid;
    case BULKHEAD_UNSUPPORTED: return Code::unsupported;
    case BULKHEAD_STATE_VERSION: return Code::incompatible;
    case BULKHEAD_UNAVAILABLE:
    case BULKHEAD_RESOURCE: return Code::unavailable;
    case BULKHEAD_BUSY: return Code::busy;
    case BULKHEAD_PERMISSION: return Code::denied;
    case BULKHEAD_DEADLINE: return Code::timed_out;
    case BULKHEAD_CANCELLED: return Code::cancelled;
    case BULKHEAD_GONE: return Code::gone;
    case BULKHEAD_FOREIGN: return Code::foreign;
    case BULKHEAD_UNKNOWN: return Code::unknown;
    default: return Code::internal;
  }
}

bulkhead_status status_of(Code code) {
  switch (code) {
    case Code::invalid:
    case Code::refused:
    case Code::not_found:
    case Code::exists: return BULKHEAD_INVALID;
    case Code::busy: return BULKHEAD_BUSY;
    case Code::unsupported: return BULKHEAD_UNSUPPORTED;
    case Code::incompatible: return BULKHEAD_STATE_VERSION;
    case Code::unavailable: return BULKHEAD_UNAVAILABLE;
    case Code::denied: return BULKHEAD_PERMISSION;
    case Code::timed_out: return BULKHEAD_DEADLINE;
    case Code::cancelled: return BULKHEAD_CANCELLED;
    case Code::gone: return BULKHEAD_GONE;
    case Code::foreign: return BULKHEAD_FOREIGN;
    case Code::unknown: return BULKHEAD_UNKNOWN;
    case Code::io: return BULKHEAD_RESOURCE;
    case Code::internal: return BULKHEAD_INTERNAL;
  }
  return BULKHEAD_INTERNAL;
}

}  // namespace bulkhead::driver
