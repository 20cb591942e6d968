#include "store/spec.hpp"

#include <algorithm>

#include "base/utf8_path.hpp"
#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::store;

namespace {

// An absolute folder on this platform.
const std::filesystem::path folder = std::filesystem::current_path().root_path() / "vms" / "a folder [1]";

std::string inside(const char* relative) { return utf8(folder / path_from_utf8(relative)); }

Json minimal() { return {{"name", "dev"}, {"driver", "qemu"}}; }

Json with(const char* pointer, Json value) {
  Json document = minimal();
  document[Json::json_pointer(pointer)] = std::move(value);
  return document;
}

std::vector<std::string> pointers(const Json& document) {
  std::vector<std::string> out;
  for (const Problem& p : check_spec(document)) out.push_back(p.pointer);
  std::ranges::sort(out);
  return out;
}

using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE("a name and a driver are enough, and the rest has defaults") {
  const VmSpec spec = parse_spec(minimal(), folder).value();
  CHECK(spec.name.str() == "dev");
  CHECK(spec.driver == "qemu");
  CHECK(spec.cpus == 1);
  CHECK(count(spec.memory) == 512ULL << 20);
  CHECK(spec.boot.kernel.empty());
  CHECK(spec.disks.empty());
  CHECK(spec.console == "serial");
  CHECK_FALSE(spec.grace_period.has_value());
  CHECK(spec.options == Json::object());
}

TEST_CASE("every field of a spec is read") {
  const Json document =
      Json::parse(R"({"$schema": "x", "version": 1, "name": "dev", "driver": "qemu", "cpus": 4, "memory": "3GiB",
    "boot": {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "quiet console=ttyS0"},
    "disks": [{"path": "a.qcow2", "format": "qcow2", "readonly": true}, {"path": "b.raw"}],
    "console": {"type": "none"}, "stop": {"grace_period": "90s"}, "options": {"machine": "pc"}})");
  const VmSpec spec = parse_spec(document, folder).value();
  CHECK(spec.cpus == 4);
  CHECK(count(spec.memory) == 3ULL << 30);
  CHECK(spec.boot.kernel == inside("vmlinuz"));
  CHECK(spec.boot.initrd == inside("initrd.img"));
  CHECK(spec.boot.cmdline == "quiet console=ttyS0");
  REQUIRE(spec.disks.size() == 2);
  CHECK(spec.disks[0].path == inside("a.qcow2"));
  CHECK(spec.disks[0].format == "qcow2");
  CHECK(spec.disks[0].readonly);
  CHECK(spec.disks[1].format == "raw");
  CHECK_FALSE(spec.disks[1].readonly);
  CHECK(spec.console == "none");
  CHECK(spec.grace_period == milliseconds{90'000});
  CHECK(spec.options == Json{{"machine", "pc"}});
}

TEST_CASE("three mistakes are reported in one go, whatever finds them") {
  Json document = with("/memory", "99999999TiB");
  document["name"] = "Dev/1";
  document["cpuz"] = 2;
  CHECK(pointers(document) == Pointers{"/cpuz", "/memory", "/name"});
  document["boot"] = {{"kernel", "k"}, {"firmware", "f"}};
  document["stop"] = {{"grace_period", "25h"}};
  CHECK(pointers(document) == Pointers{"/boot", "/cpuz", "/memory", "/name", "/stop/grace_period"});
  const auto parsed = parse_spec(document, folder);
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().code == Code::invalid);
  CHECK(parsed.error().what == "read VM spec: 5 problems");
  CHECK(parsed.error().problems.size() == 5);
}

TEST_CASE("a place that is wrong twice over is reported once") {
  CHECK(pointers(with("/memory", "12")) == Pointers{"/memory"});
  CHECK(pointers(with("/stop", {{"grace_period", "soon"}})) == Pointers{"/stop/grace_period"});
}

TEST_CASE("a spec that is no object is refused") {
  for (const Json& document : {Json(), Json(1), Json("x"), Json::array()}) {
    CHECK(pointers(document) == Pointers{""});
    CHECK(parse_spec(document, folder).error().what == "read VM spec: 1 problem");
  }
}

TEST_CASE("too little memory is refused, and the least is not") {
  CHECK(pointers(with("/memory", "0MiB")) == Pointers{"/memory"});
  CHECK(pointers(with("/memory", "1023KiB")) == Pointers{"/memory"});
  CHECK(pointers(with("/memory", "1024KiB")).empty());
}

TEST_CASE("numbers of processors are bounded") {
  for (const Json& cpus : {Json(0), Json(-1), Json(513), Json(1.5), Json("2"), Json(18446744073709551615ULL)}) {
    INFO(dump(cpus));
    CHECK(pointers(with("/cpus", cpus)) == Pointers{"/cpus"});
  }
  CHECK(parse_spec(with("/cpus", 512), folder).value().cpus == 512);
}

TEST_CASE("a kernel and a firmware exclude each other, and what belongs to a kernel needs one") {
  CHECK(pointers(with("/boot", {{"kernel", "k"}, {"firmware", "f"}})) == Pointers{"/boot"});
  CHECK(pointers(with("/boot", {{"initrd", "i"}, {"cmdline", "c"}})) == Pointers{"/boot/cmdline", "/boot/initrd"});
  CHECK(pointers(with("/boot", {{"firmware", "f"}})).empty());
  CHECK(pointers(with("/boot", Json::object())).empty());
}

TEST_CASE("paths with spaces, brackets and letters outside ASCII are kept as they are") {
  for (const char* name :
       {"my disk.img", "disk[1].img", "größe.img", "диск 虚.img", "a'b\"c.img", "$HOME.img", "-x", "a,b.img"}) {
    INFO(name);
    const VmSpec spec = parse_spec(with("/disks", Json::array({Json{{"path", name}}})), folder).value();
    CHECK(spec.disks[0].path == inside(name));
  }
}

TEST_CASE("relative paths are relative to the folder, and absolute ones stay") {
  const std::string absolute = utf8(folder.root_path() / "images" / "k");
  CHECK(parse_spec(with("/boot", {{"kernel", absolute}}), folder).value().boot.kernel == absolute);
  CHECK(parse_spec(with("/boot", {{"firmware", "./sub/../f"}}), folder).value().boot.firmware == inside("f"));
  CHECK(parse_spec(with("/boot", {{"firmware", "../f"}}), folder).value().boot.firmware ==
        utf8(folder.parent_path() / "f"));
}

TEST_CASE("a NUL is refused wherever it is, also deep in the options") {
  const std::string nul("a\0b", 3);
  CHECK(pointers(with("/boot", {{"kernel", nul}})) == Pointers{"/boot/kernel"});
  CHECK(pointers(with("/disks", Json::array({Json{{"path", "x"}}, Json{{"path", nul}}}))) == Pointers{"/disks/1/path"});
  CHECK(pointers(with("/options", {{"a/b", {{"~", Json::array({1, nul})}}}})) == Pointers{"/options/a~1b/~0/1"});
  CHECK(pointers(with("/driver", nul)) == Pointers{"/driver"});
}

TEST_CASE("an empty path is refused") {
  CHECK(pointers(with("/disks", Json::array({Json{{"path", ""}}}))) == Pointers{"/disks/0/path"});
  CHECK(pointers(with("/boot", {{"kernel", ""}})) == Pointers{"/boot/kernel"});
}

TEST_CASE("a spec that is written and read again is the same") {
  Json full = with("/disks", Json::array({Json{{"path", "d 1.qcow2"}, {"format", "qcow2"}, {"readonly", true}},
                                          Json{{"path", "größe"}}}));
  full["boot"] = {{"kernel", "k"}, {"initrd", "i"}, {"cmdline", "a b"}};
  full["stop"] = {{"grace_period", "90s"}};
  full["console"] = {{"type", "none"}};
  full["options"] = {{"x", {1, 2}}};
  full["cpus"] = 3;
  for (const char* memory : {"1024KiB", "1537KiB", "512MiB", "2TiB"}) {
    full["memory"] = memory;
    for (const Json& document : {minimal(), full}) {
      const VmSpec spec = parse_spec(document, folder).value();
      const Json written = to_json(spec);
      // From another folder: what is written has absolute paths.
      const auto again = parse_spec(written, folder / "elsewhere");
      REQUIRE(again.has_value());
      CHECK(to_json(*again) == written);
      CHECK(again->memory == spec.memory);
      CHECK(again->grace_period == spec.grace_period);
      CHECK(driver_arguments(*again) == driver_arguments(spec));
    }
  }
}

TEST_CASE("a driver is given sizes in bytes, absolute paths and its own options") {
  Json document = with("/disks", Json::array({Json{{"path", "d"}}}));
  document["options"] = {{"machine", "pc"}};
  const Json arguments = driver_arguments(parse_spec(document, folder).value());
  CHECK(arguments.at("/vm/name"_json_pointer) == "dev");
  CHECK(arguments.at("/vm/memory_bytes"_json_pointer) == 536870912);
  CHECK(arguments.at("/vm/disks/0/path"_json_pointer) == inside("d"));
  CHECK(arguments.at("/vm/boot"_json_pointer) == Json::object());
  CHECK(arguments.at("options") == Json{{"machine", "pc"}});
  CHECK_FALSE(arguments.at("vm").contains("driver"));
}

TEST_CASE("S10: a restart policy is read, and comes back as it was") {
  Json document = with("/restart", {{"policy", "on-failure"}, {"delay", "500ms"}, {"max_delay", "2m"}, {"limit", 0}});
  document["autostart"] = true;
  const VmSpec spec = parse_spec(document, folder).value();
  CHECK(spec.restart.policy == Restart::Policy::on_failure);
  CHECK(spec.restart.delay == std::chrono::milliseconds{500});
  CHECK(spec.restart.max_delay == std::chrono::minutes{2});
  CHECK(spec.restart.reset_after == std::chrono::minutes{10});
  CHECK(spec.restart.limit == 0);
  CHECK(spec.autostart);
  const VmSpec again = parse_spec(to_json(spec), folder).value();
  CHECK(again.restart == spec.restart);
  CHECK(again.autostart);
}

TEST_CASE("S10: what is wrong with a restart policy is told with its place") {
  CHECK(pointers(with("/restart/policy", "sometimes")) == Pointers{"/restart/policy"});
  CHECK(pointers(with("/restart/delay", "99999999h")) == Pointers{"/restart/delay"});
  CHECK(pointers(with("/restart/limit", -1)) == Pointers{"/restart/limit"});
}

TEST_CASE("S11: what only a start can put in force is pending, the host's own affairs are not") {
  const VmSpec running = parse_spec(minimal(), folder).value();
  CHECK(pending_changes(running, running).empty());
  CHECK(pending_changes(running, parse_spec(with("/memory", "1GiB"), folder).value()) == Pointers{"/memory"});
  CHECK(pending_changes(running, parse_spec(with("/options/a", 1), folder).value()) == Pointers{"/options/a"});
  CHECK(pending_changes(running, parse_spec(with("/restart/policy", "always"), folder).value()).empty());
  CHECK(pending_changes(running, parse_spec(with("/autostart", true), folder).value()).empty());
  CHECK(pending_changes(running, parse_spec(with("/stop/grace_period", "9s"), folder).value()).empty());
}
