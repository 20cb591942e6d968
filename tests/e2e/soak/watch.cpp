#include "e2e/soak/watch.hpp"

#include <chrono>
#include <sstream>
#include <utility>

#include "e2e/soak/census.hpp"

namespace bulkhead::e2e::soak {

Watch::Watch(std::filesystem::path folder)
    : folder_(std::move(folder)), thread_([this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          look_once();
          std::this_thread::sleep_for(std::chrono::milliseconds{50});
        }
      }) {}

std::vector<std::string> Watch::take_doubles() {
  const std::lock_guard lock(mutex_);
  return std::exchange(doubles_, {});
}

void Watch::look_once() {
  for (const auto& [name, life] : look(folder_).vms) {
    const auto both = at_the_same_time(life.qemus);
    if (both.size() < 2) continue;
    std::ostringstream text;
    for (const support::Seen& seen : both) text << name << " ran twice: " << seen << "\n";
    const std::lock_guard lock(mutex_);
    doubles_.push_back(text.str());
  }
}

}  // namespace bulkhead::e2e::soak
