#include "e2e/soak/census.hpp"

#include <algorithm>
#include <regex>

#include "support/text_file.hpp"

namespace bulkhead::e2e::soak {

namespace {

std::string run_mark(std::int64_t pid) {
  const std::string environment = support::read_text("/proc/" + std::to_string(pid) + "/environ");
  std::smatch match;
  return std::regex_search(environment, match, std::regex("BULKHEAD_RUN=([0-9a-f]{16})")) ? match[1] : std::string();
}

// Whoever is between fork and exec still has the name and the arguments of the one who forked him.
bool parent_is(const support::Seen& seen, const std::vector<support::Seen>& all, const std::string& name) {
  return std::ranges::any_of(
      all, [&](const support::Seen& other) { return other.pid == seen.parent && other.name == name; });
}

}  // namespace

Census look(const std::filesystem::path& folder) {
  static const std::regex qemu("guest=([^@ ]+)@([0-9a-f]{16})");
  static const std::regex agent("bulkhead-agent ([^ ]+) --home .* --run ([0-9a-f]{16})");
  Census census;
  std::map<std::string, std::string> vm_of_run;
  std::vector<std::pair<support::Seen, std::string>> marked;
  const auto all = support::census(folder.string());
  for (const support::Seen& seen : all) {
    std::smatch match;
    if (std::regex_search(seen.command, match, qemu) && seen.name.starts_with("qemu")) {
      census.vms[match[1]].qemus.push_back(seen);
    } else if (seen.name == "bulkhead-agent" && std::regex_search(seen.command, match, agent)) {
      if (!parent_is(seen, all, "bulkhead-agent")) census.vms[match[1]].agents.push_back(seen);
    } else if (seen.name == "bulkheadd") {
      if (!parent_is(seen, all, "bulkheadd")) census.daemons.push_back(seen);
      continue;
    } else if (seen.name == "bulkhead") {
      continue;  // a client
    } else {
      marked.emplace_back(seen, run_mark(seen.pid));
      continue;
    }
    census.vms[match[1]].runs.insert(match[2]);
    vm_of_run[match[2]] = match[1];
  }
  for (auto& [seen, run] : marked) {
    const auto known = vm_of_run.find(run);
    if (known == vm_of_run.end()) {
      census.strangers.push_back(std::move(seen));
    } else {
      census.vms[known->second].others.push_back(std::move(seen));
    }
  }
  return census;
}

std::vector<support::Seen> at_the_same_time(const std::vector<support::Seen>& qemus) {
  // One that was seen first may have ended before the next began. One that is ending has no arguments any more, and
  // releases its locks only afterwards.
  std::vector<support::Seen> found;
  if (qemus.size() < 2) return qemus;
  for (const support::Seen& seen : qemus) {
    const std::string now = support::read_text("/proc/" + std::to_string(seen.pid) + "/cmdline");
    if (now.find("guest=") != std::string::npos) found.push_back(seen);
  }
  return found;
}

}  // namespace bulkhead::e2e::soak
