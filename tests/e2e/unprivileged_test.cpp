#include <sys/statvfs.h>
#include <unistd.h>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

// Root sees and may do more than a user: what a user's host claims is not shown by root's tests. Here root runs some of
// them again as nobody.
namespace {

const std::string dropper = "/usr/bin/setpriv";
constexpr uid_t nobody = 65534;

Finished as_nobody(Words program, std::map<std::string, std::string> env = {}) {
  const std::string id = std::to_string(nobody);
  Words words{"--reuid=" + id, "--regid=" + id, "--clear-groups"};
  words.insert(words.end(), program.begin(), program.end());
  env["HOME"] = "/tmp";
  env["PATH"] = "/usr/local/bin:/usr/bin:/bin";
  return support::run({.program = dropper, .arguments = words, .env = env, .limit = std::chrono::seconds{110}});
}

std::string this_program() { return fs::read_symlink("/proc/self/exe").string(); }

// "": nobody can run this program; else why not.
std::string obstacle() {
  if (::geteuid() != 0 || !fs::exists(dropper)) return "only root can become somebody else, with " + dropper;
  if (as_nobody({"/bin/cat", TEST_CHILD}).code != 0) return std::string("nobody can read ") + TEST_CHILD;
  return {};
}

void passes_as_nobody(const std::string& cases, const std::map<std::string, std::string>& env = {}) {
  const Finished finished = as_nobody({this_program(), cases}, env);
  INFO(finished.out << finished.err);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "All tests passed"));
  CHECK_FALSE(contains(finished.out, "skipped:"));
}

}  // namespace

TEST_CASE("F06, F15, C08: a user who is not root has the same") {
  if (one_containment()) SKIP_BECAUSE("all tests are run without privileges, too");
  if (const std::string why = obstacle(); !why.empty()) SKIP_BECAUSE(why);
  passes_as_nobody("F06: two*,F06: many*,F15: a process that lingers*,C08: with the agent dead*");
}

TEST_CASE("F09: a root process in a user's VM leaves it stuck until it ends") {
  if (one_containment()) SKIP_BECAUSE("all tests are run without privileges, too");
  if (const std::string why = obstacle(); !why.empty()) SKIP_BECAUSE(why);
  const support::TempDir folder;
  struct statvfs info{};
  REQUIRE(::statvfs(folder.path().c_str(), &info) == 0);
  if ((info.f_flag & ST_NOSUID) != 0) SKIP_BECAUSE("setuid programs have no effect in " << folder.path());
  REQUIRE(::chown(folder.path().c_str(), 0, nobody) == 0);
  fs::permissions(folder.path(), fs::perms(0710));  // what is setuid is not for everybody
  fs::copy_file(TEST_CHILD, folder / "child");
  fs::permissions(folder / "child", fs::perms(04755));
  passes_as_nobody("F09: a process that its user*", {{"BULKHEAD_TEST_SETUID_CHILD", (folder / "child").string()}});
}
