#include "os/file.hpp"

#include <random>
#include <sys/stat.h>

#include "os/born.hpp"
#include "support/run.hpp"

using namespace bulkhead;
using namespace bulkhead::support;
namespace fs = std::filesystem;

namespace {

mode_t mode_of(const fs::path& path) {
  struct stat info{};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

}  // namespace

TEST_CASE("a file is replaced as a whole and is for its owner only") {
  const TempDir folder;
  REQUIRE(os::write_atomically(folder / "file", "old and long"));
  REQUIRE(os::write_atomically(folder / "file", "new"));
  CHECK(read_text(folder / "file") == "new");
  CHECK(mode_of(folder / "file") == 0600);
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("C08: a writer killed at any moment leaves the old or the new content, never half") {
  const TempDir folder;
  const fs::path file = folder / "file";
  const std::string a(200'000, 'a');
  const std::string b(50'000, 'b');
  std::mt19937 random(20'240'607);  // always the same moments
  std::uniform_int_distribution<int> moment(0, 6'000);
  for (int round = 0; round < 40; ++round) {
    Program writer({.program = OS_WRITER, .arguments = {file.string()}});
    REQUIRE(eventually([&] { return fs::exists(file); }));
    std::this_thread::sleep_for(std::chrono::microseconds(moment(random)));  // a random moment is what is tested
    writer.signal(SIGKILL);
    REQUIRE(writer.wait().signal == SIGKILL);
    const std::string content = read_text(file);
    CAPTURE(round, content.size());
    REQUIRE((content == a || content == b));
  }
  REQUIRE(os::write_atomically(file, "next"));  // what a killed writer left is not in the way
  CHECK(read_text(file) == "next");
}

TEST_CASE("a write that fails leaves the old content and no other file") {
  const TempDir folder;
  fs::create_directory(folder / "file");
  write_text(folder / "file/inside", "x");
  CHECK_FALSE(os::write_atomically(folder / "file", "new"));
  CHECK(read_text(folder / "file/inside") == "x");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("X03: a symbolic link in place of a file is not followed, neither to read nor to write") {
  const TempDir folder;
  write_text(folder / "outside", "precious");
  fs::create_symlink(folder / "outside", folder / "file");
  const auto read = os::read_file(folder / "file");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Code::denied);
  CHECK_FALSE(os::read_tail(folder / "file", 10));
  CHECK_FALSE(os::AppendFile::open(folder / "file", os::AppendFile::If::exists));
  CHECK_FALSE(os::AppendFile::open(folder / "file", os::AppendFile::If::missing));
  static_cast<void>(os::write_atomically(folder / "file", "mine"));  // may replace the link itself
  CHECK(read_text(folder / "outside") == "precious");
}

TEST_CASE("X03: a symbolic link in place of the temporary file is not followed") {
  const TempDir folder;
  write_text(folder / "outside", "precious");
  fs::create_symlink(folder / "outside", folder / "file.new");
  REQUIRE(os::write_atomically(folder / "file", "mine"));
  CHECK(read_text(folder / "outside") == "precious");
  CHECK(read_text(folder / "file") == "mine");
  CHECK_FALSE(fs::is_symlink(folder / "file"));
}

TEST_CASE("X03: a symbolic link in place of the directory is refused") {
  const TempDir folder;
  fs::create_directory(folder / "outside");
  fs::create_symlink(folder / "outside", folder / "directory");
  const auto written = os::write_atomically(folder / "directory/file", "mine");
  CHECK_FALSE(written);
  CHECK_FALSE(fs::exists(folder / "outside/file"));
}

TEST_CASE("X03: a private directory is made with its parents for its owner only") {
  const TempDir folder;
  REQUIRE(os::make_private_directory(folder / "a/b/c"));
  for (const char* made : {"a", "a/b", "a/b/c"}) CHECK(mode_of(folder / made) == 0700);
  CHECK(os::make_private_directory(folder / "a/b/c"));
}

TEST_CASE("X03: a private directory is refused when it is a link, not a directory, or writable by others") {
  const TempDir folder;
  const auto refused = [&](const std::string& name) {
    const auto made = os::make_private_directory(folder / name);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::denied);
    CHECK(made.error().what.find(name) != std::string::npos);
    return made.error().hint;
  };
  fs::create_directory(folder / "target");
  fs::create_symlink(folder / "target", folder / "link");
  refused("link");
  fs::create_symlink(folder / "nowhere", folder / "dangling");
  refused("dangling");
  write_text(folder / "file", "");
  refused("file");
  fs::create_directory(folder / "shared");
  REQUIRE(::chmod((folder / "shared").c_str(), 0770) == 0);
  CHECK(refused("shared").find("chmod 700") != std::string::npos);
  REQUIRE(::chmod((folder / "shared").c_str(), 0707) == 0);
  refused("shared");
}

TEST_CASE("removing takes files, links and empty directories, and a missing one is fine") {
  const TempDir folder;
  write_text(folder / "outside", "precious");
  write_text(folder / "file", "");
  fs::create_symlink(folder / "outside", folder / "link");
  fs::create_directory(folder / "directory");
  fs::create_directory(folder / "full");
  write_text(folder / "full/file", "");
  for (const char* name : {"file", "link", "directory", "missing"}) {
    CAPTURE(name);
    CHECK(os::remove_entry(folder / name));
    CHECK_FALSE(fs::exists(fs::symlink_status(folder / name)));
  }
  CHECK_FALSE(os::remove_entry(folder / "full"));
  CHECK(fs::exists(folder / "full/file"));
  CHECK(read_text(folder / "outside") == "precious");
}

TEST_CASE("a file that grows is made once, opened again, and cut when asked") {
  const TempDir folder;
  {
    auto file = os::AppendFile::open(folder / "log", os::AppendFile::If::missing);
    REQUIRE(file);
    REQUIRE(file->append("one\n"));
  }
  CHECK_FALSE(os::AppendFile::open(folder / "log", os::AppendFile::If::missing));
  auto file = os::AppendFile::open(folder / "log", os::AppendFile::If::exists);
  REQUIRE(file);
  REQUIRE(file->append("two"));
  CHECK(read_text(folder / "log") == "one\ntwo");
  REQUIRE(file->truncate(4));
  REQUIRE(file->append("three\n"));
  CHECK(read_text(folder / "log") == "one\nthree\n");
  CHECK(mode_of(folder / "log") == 0600);
}

TEST_CASE("the tail of a file is its last bytes, or all of a short one") {
  const TempDir folder;
  write_text(folder / "log", "0123456789");
  CHECK(os::read_tail(folder / "log", 4) == "6789");
  CHECK(os::read_tail(folder / "log", 100) == "0123456789");
  const auto missing = os::read_tail(folder / "none", 4);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::not_found);
}
