#include "os/lock.hpp"

#include <sys/file.h>

#include "os/born.hpp"

using namespace bulkhead;
using namespace bulkhead::support;
using Mode = os::FileLock::Mode;
using If = os::FileLock::If;

TEST_CASE("an exclusive lock is held by one handle at a time and free when it is gone") {
  const TempDir folder;
  const auto path = folder / "lock";
  {
    const auto first = os::FileLock::acquire(path, Mode::exclusive, If::create);
    REQUIRE(first);
    const auto second = os::FileLock::acquire(path, Mode::exclusive, If::create);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::busy);
    CHECK(second.error().what.find(path.string()) != std::string::npos);
    CHECK_FALSE(os::FileLock::acquire(path, Mode::shared, If::create));
  }
  CHECK(os::FileLock::acquire(path, Mode::exclusive, If::create));
}

TEST_CASE("shared locks go together and keep an exclusive one out") {
  const TempDir folder;
  const auto path = folder / "disk";
  write_text(path, "data");
  const auto first = os::FileLock::acquire(path, Mode::shared, If::must_exist);
  const auto second = os::FileLock::acquire(path, Mode::shared, If::must_exist);
  CHECK((first && second));
  const auto third = os::FileLock::acquire(path, Mode::exclusive, If::must_exist);
  REQUIRE_FALSE(third);
  CHECK(third.error().code == Code::busy);
  CHECK(read_text(path) == "data");
}

TEST_CASE("D02: a lock that a child inherited lives until the child dies, not until its taker lets go") {
  const Nursery nursery;
  const auto path = nursery.folder() / "lock";
  auto lock = os::FileLock::acquire(path, Mode::exclusive, If::create);
  REQUIRE(lock);
  os::Spawn spawn = nursery.child({"say", "ready"});
  spawn.inherit = {lock->handle()};
  const os::Process child = Nursery::start(spawn);
  REQUIRE(nursery.says("ready"));
  lock->release();
  CHECK_FALSE(os::FileLock::acquire(path, Mode::exclusive, If::create));
  REQUIRE(child.signal(os::Signal::kill));
  REQUIRE(child.wait(in_good_time()));
  CHECK(os::FileLock::acquire(path, Mode::exclusive, If::create));
}

TEST_CASE("D02: a child that did not inherit the lock does not hold it") {
  const Nursery nursery;
  const auto path = nursery.folder() / "lock";
  auto lock = os::FileLock::acquire(path, Mode::exclusive, If::create);
  REQUIRE(lock);
  nursery.start({"say", "ready"});
  REQUIRE(nursery.says("ready"));
  lock->release();
  CHECK(os::FileLock::acquire(path, Mode::exclusive, If::create));
}

TEST_CASE("a lock on a missing disk is not found and makes no file") {
  const TempDir folder;
  const auto lock = os::FileLock::acquire(folder / "disk", Mode::exclusive, If::must_exist);
  REQUIRE_FALSE(lock);
  CHECK(lock.error().code == Code::not_found);
  CHECK_FALSE(std::filesystem::exists(folder / "disk"));
}

TEST_CASE("X03: our own lock file is not taken through a symbolic link") {
  const TempDir folder;
  std::filesystem::create_symlink(folder / "outside", folder / "lock");
  CHECK_FALSE(os::FileLock::acquire(folder / "lock", Mode::exclusive, If::create));
  CHECK_FALSE(std::filesystem::exists(folder / "outside"));
}
