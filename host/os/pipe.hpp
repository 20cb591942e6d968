#pragma once

#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "os/handle.hpp"

namespace bulkhead::os {

struct Pipe {
  UniqueHandle read;
  UniqueHandle write;
};
// Neither end is inherited unless it is asked for.
Result<Pipe> make_pipe();

// The next line without its end; nothing at the end of the stream. timed_out at the deadline.
Result<std::optional<std::string>> read_line(const UniqueHandle& handle, Deadline deadline);

}  // namespace bulkhead::os
