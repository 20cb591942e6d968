#include "os/handle.hpp"

#include <unistd.h>

namespace bulkhead::os {

UniqueHandle::~UniqueHandle() {
  if (raw_ != no_handle) ::close(static_cast<int>(raw_));
}

}  // namespace bulkhead::os
