#pragma once

#include <filesystem>
#include <functional>

#include "api/message.hpp"

namespace bulkhead::api {

// One request to the server at `socket`. not_found or unavailable: nobody serves it. timed_out: no whole answer by the
// deadline; what was asked may still be done. unavailable: the server went away in the middle.
Task<Result<Response>> call(std::filesystem::path socket, Request request, Deadline deadline);

// The same for a program without an event loop; blocks.
Result<Response> call_and_wait(const std::filesystem::path& socket, Request request, Deadline deadline);

// A stream of server-sent events: `take` is given the data of each, and ends the stream with false. Blocks until then,
// until the server ends it, or until the deadline (timed_out).
Result<void> stream_and_wait(const std::filesystem::path& socket, Request request,
                             const std::function<bool(const Json& event)>& take, Deadline deadline);

}  // namespace bulkhead::api
