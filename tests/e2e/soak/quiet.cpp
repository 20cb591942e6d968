#include "e2e/soak/quiet.hpp"

#include <algorithm>
#include <sstream>

#include "support/typist.hpp"

namespace bulkhead::e2e::soak {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

template <class List>
std::string listed(const List& all) {
  std::ostringstream text;
  for (const auto& one : all) text << "\n    " << one;
  return text.str();
}

std::string tail_of(const fs::path& file) {
  const std::string text = support::read_text(file);
  return text.substr(text.size() - std::min<std::size_t>(text.size(), 20'000));
}

std::vector<fs::path> cgroups_of(const std::set<std::string>& runs) {
  std::vector<fs::path> found;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it("/sys/fs/cgroup", options, error), end; !error && it != end;
       it.increment(error)) {
    if (runs.contains(it->path().filename())) found.push_back(it->path());
  }
  return found;
}

// True: what the console says last is said by a guest that takes commands, or was the last of an earlier one.
bool ready(const std::string& console) {
  const auto said = console.rfind("READY");
  return said != std::string::npos && said > console.rfind("bulkhead firmware guest");
}

bool runs(const Json& vm) { return vm.at("state") == "running"; }

}  // namespace

Quiet::Picture Quiet::settled() {
  Json list;
  Census census;
  const bool fits = eventually(90s, [&] {
    problems_.clear();
    list = host_.ok({"list"}).at("vms");
    census = look(host_.folder());
    compare(list, census);
    if (problems_.empty()) compare_places(list, census);
    return problems_.empty();
  });
  INFO("list and truth differ:" << listed(problems_) << "\nlist: " << list.dump(1));
  INFO("the daemon's log:\n" << tail_of(host_.home() / "bulkheadd.log"));
  REQUIRE(fits);
  Picture picture;
  for (const Json& vm : list) {
    Seen seen{.state = vm.at("state")};
    if (runs(vm)) {
      const Life& life = census.vms.at(vm.at("name"));
      seen.qemu = life.qemus.front().pid;
      seen.qemu_began = support::start_time_of(seen.qemu);
      seen.boot = boot_of(vm.at("name"), *life.runs.begin());
    }
    picture.emplace(vm.at("name"), std::move(seen));
  }
  return picture;
}

void Quiet::compare(const Json& list, const Census& census) {
  std::set<std::string> running;
  for (const Json& vm : list) {
    const std::string name = vm.at("name");
    const std::string state = vm.at("state");
    if (runs(vm)) {
      running.insert(name);
      const auto found = census.vms.find(name);
      compare_running(name, found == census.vms.end() ? Life{} : found->second);
    } else if (state != "stopped" && state != "failed") {
      wrong("'" + name + "' is " + state + ": " + vm.value("why", ""));
    } else if (vm.at("restarts").contains("next_at")) {
      wrong("'" + name + "' is about to be started again");
    } else if (state == "failed" && vm.value("why", "").empty()) {
      wrong("'" + name + "' has failed, and nobody says why");
    }
  }
  for (const auto& [name, life] : census.vms) {
    runs_.insert(life.runs.begin(), life.runs.end());
    if (running.contains(name)) continue;
    wrong("'" + name + "' is not running, but there are" + listed(life.qemus) + listed(life.agents) +
          listed(life.others));
  }
  if (census.daemons.size() != 1) wrong("there is not one daemon:" + listed(census.daemons));
  if (!census.strangers.empty()) wrong("of this host, but of no VM:" + listed(census.strangers));
}

void Quiet::compare_running(const std::string& name, const Life& life) {
  if (life.qemus.size() != 1) wrong("'" + name + "' is running, but not with one QEMU:" + listed(life.qemus));
  if (life.runs.size() != 1) wrong("'" + name + "' has not one run:" + listed(life.runs));
  if (life.agents.size() > 1) wrong("'" + name + "' has more than one agent:" + listed(life.agents));
  const auto init = [](const support::Seen& seen) { return seen.name == "bulkhead-init"; };
  if (life.others.size() > 1 || !std::ranges::all_of(life.others, init)) {
    wrong("'" + name + "' has more than its QEMU:" + listed(life.others));
  }
  // One that a new agent is still taking over is not settled.
  if (life.agents.empty() &&
      host_.info(name).at("warnings").dump().find("only be stopped by force") == std::string::npos)
    wrong("'" + name + "' has no agent");
}

// Sockets, cgroups and locks: what runs has them, and nobody else.
void Quiet::compare_places(const Json& list, const Census& census) {
  std::set<std::string> running;
  for (const Json& vm : list) {
    if (runs(vm)) running.insert(*census.vms.at(vm.at("name")).runs.begin());
  }
  std::set<std::string> places;
  for (const fs::path& place : places_of_runs()) {
    const std::string of = place.filename();
    places.insert(of);
    if (std::ranges::none_of(running, [&](const std::string& run) { return run.starts_with(of); }))
      wrong("left: " + place.string());
  }
  for (const std::string& run : running) {
    if (!places.contains(run.substr(0, 8))) wrong("run " + run + " has no folder of sockets");
  }
  for (const std::string& run : host_.runs()) runs_.insert(run);
  for (const fs::path& cgroup : cgroups_of(runs_)) {
    if (!running.contains(cgroup.filename())) wrong("left: " + cgroup.string());
  }
  std::map<std::string, int> users;  // of disks, and of the locks of runs
  for (const Json& vm : list) {
    users[host_.vm_directory(vm.at("name")) / "run.lock"] += runs(vm) ? 1 : 0;
    const std::string disk = disk_of(vm.at("name"));
    if (!disk.empty()) users[disk] += runs(vm) ? 1 : 0;
  }
  for (const auto& [file, count] : users) {
    if (count > 1) wrong("more than one VM runs with " + file);
    if (support::locked(file) != (count == 1)) wrong(file + (count == 1 ? " is not locked" : " is locked"));
  }
}

std::vector<fs::path> Quiet::places_of_runs() const {
  std::vector<fs::path> found;
  for (const auto& home : fs::directory_iterator(host_.runtime() / "bulkhead")) {
    for (const auto& entry : fs::directory_iterator(home.path())) {
      if (entry.path().filename() != "host.sock") found.push_back(entry.path());
    }
  }
  return found;
}

std::string Quiet::disk_of(const std::string& name) const {
  const Json record = Json::parse(support::read_text(host_.vm_directory(name) / "vm.json"), nullptr, false);
  const Json spec = record.is_object() ? record.value("spec", record) : Json::object();
  const Json disks = spec.value("disks", Json::array());
  return disks.empty() ? "" : disks.front().at("path");
}

std::optional<fs::path> Quiet::console_of(const std::string& run) const {
  for (const fs::path& place : places_of_runs()) {
    if (run.starts_with(place.filename().string()) && fs::exists(place / "console.sock")) return place / "console.sock";
  }
  return std::nullopt;
}

// A guest that is about to boot may miss what is typed, so it is typed again.
std::string Quiet::boot_of(const std::string& name, const std::string& run) const {
  const auto console = console_of(run);
  REQUIRE(console);
  if (contains(support::read_text(host_.vm_directory(name) / "vm.json"), "firmware-spin")) return "";
  const std::size_t before = host_.boots(name).size();
  const bool answered = eventually(30s, [&] {
    const support::Typist typist(*console, "b");
    return eventually(500ms, [&] { return host_.boots(name).size() > before && ready(host_.console(name)); });
  });
  INFO("'" << name << "' runs, but its guest does not answer: " << host_.console(name));
  REQUIRE(answered);
  return host_.boots(name).back();
}

}  // namespace bulkhead::e2e::soak
