#include "os/last_error.hpp"

#include <cerrno>
#include <system_error>

namespace bulkhead::os {

namespace {

Code code_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return Code::not_found;
    case EEXIST: return Code::exists;
    case EACCES:
    case EPERM: return Code::denied;
    case EWOULDBLOCK:
    case EBUSY:
    case EADDRINUSE: return Code::busy;
    case ECONNREFUSED:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return Code::unavailable;
    case ETIMEDOUT: return Code::timed_out;
    case ESRCH: return Code::gone;
    case ENOSYS: return Code::unsupported;
    default: return Code::io;
  }
}

}  // namespace

std::unexpected<Error> system_error(int number, const std::string& what) {
  return fail(code_of(number), what + ": " + std::generic_category().message(number));
}

std::unexpected<Error> last_error(const std::string& what) { return system_error(errno, what); }

}  // namespace bulkhead::os
