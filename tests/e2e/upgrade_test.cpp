#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

namespace {

// The programs as an earlier version installed them: copies that call themselves so.
fs::path programs_of_version(const HostUnderTest& host, const std::string& version) {
  const fs::path built = fs::path(program_path("bulkhead")).parent_path();
  const fs::path folder = host.folder() / version;
  fs::create_directories(folder / "bin");
  fs::copy(built.parent_path() / "lib", folder / "lib", fs::copy_options::recursive);
  const Finished said = support::run(host.command(program_path("bulkhead"), {"--version"}));
  const std::string now = said.out.substr(said.out.find(' ') + 1, version.size());
  REQUIRE(now.size() == version.size());
  for (const char* name : {"bulkhead", "bulkheadd", "bulkhead-agent", "bulkhead-init"}) {
    std::string program = support::read_text(built / name);
    const std::string text = std::string(1, '\0') + now + std::string(1, '\0');
    for (auto at = program.find(text); at != std::string::npos; at = program.find(text, at + 1)) {
      program.replace(at + 1, version.size(), version);
    }
    support::write_text(folder / "bin" / name, program);
    fs::permissions(folder / "bin" / name, fs::perms::owner_all);
  }
  return folder / "bin";
}

// The agent's own word.
std::string version_of_agent(const HostUnderTest& host, const std::string& name) {
  const std::string run = host.run_of(name).substr(0, 8);
  for (const auto& entry : fs::recursive_directory_iterator(host.runtime())) {
    if (entry.path().filename() != "agent.sock" || entry.path().parent_path().filename() != run) continue;
    const Words words{"-s", "--unix-socket", entry.path().string(), "http://agent/v1/run"};
    const Json said = Json::parse(support::run(host.command("/usr/bin/curl", words)).out, nullptr, false);
    return said.is_object() ? said.value("version", "") : "";
  }
  return "";
}

}  // namespace

TEST_CASE("C11: an agent of an earlier version is adopted by the daemon of the next, and its guest goes on") {
  const HostUnderTest host;
  const std::string earlier = "0.0.1";
  const auto programs = programs_of_version(host, earlier);
  REQUIRE(support::run(host.command((programs / "bulkhead").string(), {"host", "start"})).code == 0);
  host.run_vm(host.firmware("fw"));
  REQUIRE(host.ok({"host", "status"}).at("version") == earlier);
  REQUIRE(version_of_agent(host, "fw") == earlier);
  const std::string boot = host.boot_of("fw");
  const auto pid = host.leader("fw");
  const auto agent = host.agent("fw");
  CHECK(host.ok({"host", "stop", "--keep-vms"}).at("kept") == 1);
  fs::remove_all(programs);  // the upgrade

  CHECK(host.state("fw") == "running");
  CHECK(host.ok({"host", "status"}).at("version") != earlier);
  CHECK(host.leader("fw") == pid);
  CHECK(host.agent("fw") == agent);
  CHECK(host.boot_of("fw") == boot);
  CHECK(host.ok({"stop", "fw"}).at("rung") == "ask");
}
