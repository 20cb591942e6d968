#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bulkhead::e2e::soak {

// Looks all the time, from outside, whether a VM has two QEMUs.
class Watch {
 public:
  explicit Watch(std::filesystem::path folder);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  // What it has seen since it was asked last.
  std::vector<std::string> take_doubles();

 private:
  void look_once();
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::vector<std::string> doubles_;
  std::jthread thread_;
};

}  // namespace bulkhead::e2e::soak
