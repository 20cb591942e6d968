#pragma once

#include <cstdint>
#include <string>

#include "api/message.hpp"
#include "daemon/events.hpp"

namespace bulkhead::daemon {

// Server-sent events (WHATWG HTML, section 9.2): those after `after`, and then each that happens. Events that are not
// kept any more are announced by an event "gap".
api::Stream event_stream(Events& events, std::uint64_t after, const std::string& vm);

}  // namespace bulkhead::daemon
