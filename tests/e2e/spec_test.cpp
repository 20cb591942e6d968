#include <algorithm>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
namespace fs = std::filesystem;
namespace support = bulkhead::support;

TEST_CASE("S06: three mistakes are told in one go and nothing is created") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  spec["cpus"] = 0;
  spec["memmory"] = "1GiB";
  spec["options"]["machine"] = "q36";
  const std::string file = host.write_spec(spec).string();
  const Json error = host.failing(3, {"create", file});
  CHECK(error.at("code") == "invalid");
  std::vector<std::string> pointers;
  for (const Json& problem : error.at("problems")) pointers.push_back(problem.at("pointer"));
  std::ranges::sort(pointers);
  CHECK(pointers == std::vector<std::string>{"/cpus", "/memmory", "/options/machine"});
  CHECK(host.ok({"list"}).at("vms").empty());
  CHECK(fs::is_empty(host.home() / "vms"));

  const Finished told = host.bulkhead({"create", file});
  CHECK(told.code == 3);
  CHECK(contains(told.err, "/cpus: "));
  CHECK(contains(told.err, "did you mean 'memory'?"));
}

TEST_CASE("S06: a text that is not JSON is refused with its line and column") {
  const HostUnderTest host;
  support::write_text(host.folder() / "bad.json", "{\n  \"name\": \"fw\",\n  \"driver\": qemu\n}\n");
  const Finished told = host.bulkhead({"create", (host.folder() / "bad.json").string()});
  CHECK(told.code == 3);
  CHECK(contains(told.err, "line 3, column 13"));
  CHECK(contains(told.err, "bad.json"));
}

TEST_CASE("S06: a wrong type and a value out of range are told with their pointers") {
  const HostUnderTest host;
  Json spec = host.firmware("fw");
  spec["memory"] = 64;
  spec["cpus"] = "two";
  spec["disks"] = {{{"path", "x"}, {"readonly", "yes"}}};
  const std::string problems = host.failing(3, {"create", host.write_spec(spec).string()}).at("problems").dump();
  CHECK(contains(problems, "/memory"));
  CHECK(contains(problems, "/cpus"));
  CHECK(contains(problems, "/disks/0/readonly"));
}

TEST_CASE("S07: names that could lead elsewhere or not be typed are refused and nothing is created") {
  const HostUnderTest host;
  host.ok({"list"});
  const auto daemon = host.daemon();
  for (const std::string& name :
       Words{"", ".", "..", "a/b", "../fw", "a b", "a[1]", std::string(300, 'a'), "größe", "con", "-x", "Fw", "a\nb"}) {
    CAPTURE(name);
    Json spec = host.firmware("named");
    const fs::path file = host.write_spec(spec);
    spec["name"] = name;
    support::write_text(file, spec.dump());
    const Finished created = host.bulkhead({"create", file.string()});
    CHECK(created.code == 3);
    CHECK(contains(created.err, "/name: "));
    const Finished info = host.bulkhead({"info", "--", name});
    CHECK(info.code > 0);
    CHECK(info.signal == 0);
  }
  CHECK(fs::is_empty(host.home() / "vms"));
  CHECK(host.daemon() == daemon);
}

TEST_CASE("S07: a second VM of the same name is refused and the first is as it was") {
  const HostUnderTest host;
  host.create(host.firmware("fw"));
  const Json error = host.failing(1, {"create", host.write_spec(host.firmware("fw", "ignore")).string()});
  CHECK(error.at("code") == "exists");
  CHECK(contains(host.info("fw").dump(), "firmware-obey.bin"));
}
