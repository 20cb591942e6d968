#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "os/process.hpp"
#include "support/catch.hpp"
#include "support/census.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"
#include "support/text_file.hpp"

namespace bulkhead::support {

// What a test has: a folder of its own, a mark in the environment of all that it starts, and the end of all that at its
// end. This process is a subreaper, so that orphans of the test do not depend on how quickly init reaps.
class Nursery {
 public:
  Nursery() { REQUIRE(os::become_subreaper()); }
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  ~Nursery() {
    end_all(mark());
    os::reap_exited();
  }
  const TempDir& folder() const { return folder_; }
  std::string mark() const { return folder_.path().string(); }
  std::filesystem::path output() const { return folder_ / "output"; }
  std::string said() const { return read_text(output()); }
  bool says(const std::string& line) const {
    return eventually([&] { return said().find(line + "\n") != std::string::npos; });
  }

  // test_child with these actions; its output goes to output().
  os::Spawn child(std::vector<std::string> actions) const {
    os::Spawn spawn;
    spawn.argv = {TEST_CHILD};
    spawn.argv.insert(spawn.argv.end(), actions.begin(), actions.end());
    spawn.env = {{"TEST_MARK", mark()}};
    spawn.out = {.to = os::Output::To::file, .path = output().string()};
    return spawn;
  }
  static os::Process start(const os::Spawn& spawn) {
    auto process = os::spawn(spawn, [](const os::Identity&) { return Result<void>{}; });
    INFO((process ? std::string() : process.error().what));
    REQUIRE(process);
    return *std::move(process);
  }
  os::Process start(std::vector<std::string> actions) const { return start(child(std::move(actions))); }

 private:
  TempDir folder_;
};

// What earlier tests of this program left is reaped: their kills may take a moment.
inline bool childless() {
  return eventually([] {
    os::reap_exited();
    return os::children() == os::Children::none;
  });
}

inline Deadline in_good_time() { return Clock::now() + generous; }

}  // namespace bulkhead::support
