#include "cli/checkup.hpp"

#include "os/file.hpp"
#include "store/host_config.hpp"

namespace bulkhead::cli {

namespace {

// As the daemon would take it: one that runs still has what it read before.
std::optional<Error> wrong_config(const std::filesystem::path& home) {
  const auto text = os::read_file(home / "host.json");
  if (!text && text.error().code != Code::not_found) return text.error();
  const auto config = store::read_host_config(text ? std::optional(*text) : std::nullopt, home);
  return config ? std::nullopt : std::optional(config.error());
}

}  // namespace

Symptoms check_up(const Link& link, Daemon daemon) {
  Symptoms symptoms{.config = wrong_config(link.home())};
  if (daemon == Daemon::start) {
    if (auto there = link.ensure_daemon(); !there) {
      symptoms.daemon = there.error();
      return symptoms;
    }
  }
  for (const auto& [path, answer] :
       {std::pair{"/v1/host", &symptoms.host}, {"/v1/drivers", &symptoms.drivers}, {"/v1/vms", &symptoms.vms}}) {
    auto said = link.call({.method = "GET", .path = path}, soon());
    if (!said) {
      symptoms.daemon = said.error();
      return symptoms;
    }
    *answer = *std::move(said);
  }
  return symptoms;
}

}  // namespace bulkhead::cli
