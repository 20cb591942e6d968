#include "store/store.hpp"

#include <algorithm>
#include <utility>

#include "os/file.hpp"

namespace bulkhead::store {

namespace fs = std::filesystem;

namespace {

// Folders that begin with a dot are VMs half created or half removed.
fs::path vms_of(const fs::path& home) { return home / "vms"; }

Result<void> rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return fail(Code::io, "rename '" + from.string() + "': " + error.message());
  return {};
}

}  // namespace

Result<Store> Store::open(const fs::path& home) {
  CHECKED(os::make_private_directory(home));
  CHECKED(os::make_private_directory(vms_of(home)));
  return Store{home};
}

Result<void> Store::sweep() const {
  Result<void> all{};
  std::error_code error;
  for (fs::directory_iterator it(vms_of(home_), error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(".")) continue;
    if (auto removed = os::remove_tree(it->path()); !removed) all = removed;
  }
  return all;
}

Result<Store> Store::attach(const fs::path& home) {
  std::error_code error;
  if (!fs::is_directory(vms_of(home), error))
    return fail(Code::not_found, "use home '" + home.string() + "': not there");
  return Store{home};
}

VmPaths Store::paths(const VmName& name) const {
  const fs::path directory = vms_of(home_) / name.str();
  return {.directory = directory,
          .record = directory / "vm.json",
          .ledger = directory / "ledger.jsonl",
          .run_lock = directory / "run.lock",
          .last_stop = directory / "last-stop.json",
          .agent_log = directory / "agent.log",
          .driver_directory = directory / "driver"};
}

Result<std::vector<VmName>> Store::list() const {
  std::vector<VmName> names;
  std::error_code error;
  for (fs::directory_iterator it(vms_of(home_), error), end; !error && it != end; it.increment(error)) {
    if (auto name = VmName::parse(it->path().filename().string())) names.push_back(*std::move(name));
  }
  if (error) return fail(Code::io, "list '" + vms_of(home_).string() + "': " + error.message());
  std::ranges::sort(names);
  return names;
}

Result<VmRecord> Store::load(const VmName& name) const {
  const VmPaths at = paths(name);
  CHECKED(os::make_private_directory(at.directory));  // it exists: this checks that it is really ours
  TRY(const std::string text, os::read_file(at.record));
  TRY(const Json json, parse_json(text, at.record.string()));
  if (integer_or(json, "version", 0) != 1) {
    return fail(Code::incompatible, "read '" + at.record.string() + "': its version is not known to this program",
                "use the version of bulkhead that wrote it");
  }
  auto spec = parse_spec(json.value("spec", Json()), at.directory);
  if (!spec) return std::unexpected(within("read '" + at.record.string() + "'", spec.error()));
  if (spec->name != name) {
    return fail(Code::invalid, "read '" + at.record.string() + "': it names another VM, '" + spec->name.str() + "'");
  }
  return VmRecord{.spec = *std::move(spec), .created_at = string_or(json, "created_at")};
}

Result<void> Store::create(const VmRecord& record) const {
  const VmPaths at = paths(record.spec.name);
  std::error_code error;
  if (fs::exists(fs::symlink_status(at.directory, error))) {
    return fail(Code::exists, "create '" + record.spec.name.str() + "': there is a VM of that name",
                "use another name, or remove it first: bulkhead remove " + record.spec.name.str());
  }
  const fs::path fresh = vms_of(home_) / (".new-" + record.spec.name.str());
  CHECKED(os::remove_tree(fresh));
  CHECKED(os::make_private_directory(fresh));
  const Json json{{"version", 1}, {"created_at", record.created_at}, {"spec", to_json(record.spec)}};
  CHECKED(os::write_atomically(fresh / "vm.json", dump_pretty(json) + "\n"));
  return rename_folder(fresh, at.directory);
}

Result<void> Store::remove(const VmName& name) const {
  const fs::path gone = vms_of(home_) / (".gone-" + name.str());
  CHECKED(os::remove_tree(gone));
  CHECKED(rename_folder(paths(name).directory, gone));
  return os::remove_tree(gone);
}

}  // namespace bulkhead::store
