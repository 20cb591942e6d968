#include "support/typist.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace bulkhead::support {

Typist::Typist(const std::filesystem::path& socket, std::string_view text)
    : handle_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  const bool fits = path.size() < sizeof address.sun_path;
  if (fits) std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (!fits || ::connect(handle_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::send(handle_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    ::close(handle_);
    throw std::runtime_error("cannot write to '" + path + "'");
  }
}

Typist::~Typist() { ::close(handle_); }

}  // namespace bulkhead::support
