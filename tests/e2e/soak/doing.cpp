#include "e2e/soak/doing.hpp"

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace bulkhead::e2e::soak {

using namespace std::chrono_literals;

std::string vm_name(std::size_t vm) { return "v" + std::string(vm < 10 ? "0" : "") + std::to_string(vm); }

void Story::tell(const std::string& what) const {
  const auto since = std::chrono::steady_clock::now() - began_;
  std::cout << "SOAK " << std::chrono::duration_cast<std::chrono::milliseconds>(since).count() << " ms, round "
            << round_ << ": " << what << std::endl;
}

void Doing::perform(const Action& action) {
  std::this_thread::sleep_for(action.before);  // not for anything: so that it comes at some moment
  const std::string vm = vm_name(action.vm);
  story_.tell((is_for_the_host(action.deed) ? "" : vm + " ") + name(action.deed));
  if (action.deed == Deed::power_off) return power_off(vm);
  kill_some(action.deed, vm);
  begin_commands(action.deed, vm, std::to_string(action.grace.count()) + "ms");
}

void Doing::begin_commands(Deed deed, const std::string& vm, const std::string& grace) {
  const bool starts = deed == Deed::start || deed == Deed::start_and_stop || deed == Deed::start_and_force;
  const bool stops = deed == Deed::stop || deed == Deed::start_and_stop || deed == Deed::stop_and_force;
  const bool forces = deed == Deed::force || deed == Deed::start_and_force || deed == Deed::stop_and_force;
  if (starts) begin(vm, {"start", vm});
  if (stops) begin(vm, {"stop", vm, "--grace", grace});
  if (forces) begin(vm, {"stop", "--force", vm});
  if (deed == Deed::remove) begin(vm, {"remove", "--force", vm});
  if (deed == Deed::keep_vms) begin("", {"host", "stop", "--keep-vms"});
  if (deed == Deed::host_stop) begin("", {"host", "stop"});
}

void Doing::begin(const std::string& vm, Words words) {
  words.emplace_back("--json");
  auto command = host_.command(program_path("bulkhead"), words);
  command.limit = 120s;
  clients_.push_back({vm, std::move(words), std::make_unique<Program>(std::move(command))});
}

void Doing::kill_some(Deed deed, const std::string& vm) const {
  const bool daemon =
      deed == Deed::kill_daemon || deed == Deed::kill_daemon_and_agent || deed == Deed::kill_daemon_and_all_agents;
  const bool agent =
      deed == Deed::kill_agent || deed == Deed::kill_agent_and_qemu || deed == Deed::kill_daemon_and_agent;
  const bool qemu = deed == Deed::kill_qemu || deed == Deed::kill_agent_and_qemu;
  if (!daemon && !agent && !qemu) return;
  const Census census = look(host_.folder());
  if (daemon) kill(census.daemons);
  for (const auto& [name, life] : census.vms) {
    if ((agent && name == vm) || deed == Deed::kill_daemon_and_all_agents) kill(life.agents);
    if (qemu && name == vm) kill(life.qemus);
  }
}

void Doing::kill(const std::vector<support::Seen>& all) const {
  for (const support::Seen& seen : all) support::kill(seen, host_.folder().string());
}

void Doing::power_off(const std::string& vm) {
  const std::set<std::string> runs = look(host_.folder()).vms[vm].runs;
  for (const std::string& run : runs) {
    try {
      if (const auto console = quiet_.console_of(run)) {
        typists_.push_back(std::make_unique<support::Typist>(*console, "p"));
      }
    } catch (const std::runtime_error&) {
      story_.tell("  " + vm + " has just ended");
    }
  }
}

Doing::Answers Doing::finish() {
  Answers answers;
  for (const Client& client : clients_) answers[client.vm].push_back(collect(client));
  clients_.clear();
  typists_.clear();
  return answers;
}

bool Doing::collect(const Client& client) const {
  std::string command = "bulkhead";
  for (const std::string& word : client.words) command += " " + word;
  const Finished finished = client.program->wait();
  INFO(command << "\n" << finished.out << finished.err << "\nround " << story_.round());
  REQUIRE_FALSE(finished.late);
  REQUIRE((finished.code == 0 || finished.code == 1));
  const Json json = Json::parse(finished.out, nullptr, false);
  REQUIRE(json.is_object());
  const Json error = json.value("error", Json::object());
  const std::string code = error.value("code", "");
  const std::string outcome = json.value("outcome", "");
  story_.tell("  " + command + ": " + (code.empty() ? json.value("state", outcome) : code) + " " +
              error.value("message", ""));
  const Words expected{"", "busy", "cancelled", "unavailable", "not_found", "gone"};
  CHECK(std::ranges::find(expected, code) != expected.end());
  CHECK(outcome != "stuck");
  // Whoever is told that a run is over can rely on it from that moment on.
  if (outcome == "stopped" && json.contains("run")) {
    CHECK(host_.members(json["run"]) == std::vector<support::Seen>{});
  }
  return finished.code == 0;
}

}  // namespace bulkhead::e2e::soak
