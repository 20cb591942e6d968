#pragma once

namespace bulkhead::api {

// What daemon and agent say to each other (host/agent/agent.hpp), by number. An agent tells its own in GET /v1/run, and
// one that tells none speaks 1. A daemon speaks all from the oldest to its own; it leaves the VM of an agent that
// speaks a later one alone, except that it can end it. Raise it when a daemon that does not know of a change would go
// wrong.
inline constexpr int agent_protocol = 1;
inline constexpr int oldest_agent_protocol = 1;

}  // namespace bulkhead::api
