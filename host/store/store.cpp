#include "store/store.hpp"

#include <algorithm>
#include <utility>

#include "os/file.hpp"

namespace bulkhead::store {

namespace fs = std::filesystem;

namespace {

// Folders that begin with a dot are VMs half created or half removed.
fs::path vms_of(const fs::path& home) { return home / "vms"; }

std::string text_of(const VmRecord& record) {
  return dump_pretty(Json{{"version", 1}, {"created_at", record.created_at}, {"spec", to_json(record.spec)}}) + "\n";
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

Result<std::string> Store::mark() const {
  std::error_code error;
  const fs::path path = fs::canonical(home_, error);
  if (error) return fail(Code::io, "find home '" + home_.string() + "': " + error.message());
  const fs::path file = home_ / "home.id";
  const auto text = os::read_file(file);
  if (!text && text.error().code != Code::not_found) return std::unexpected(text.error());
  const auto document = [&path](const std::string& id) {
    return dump_pretty(Json{{"version", 1}, {"id", id}, {"path", path.string()}}) + "\n";
  };
  const Json known = text ? Json::parse(*text, nullptr, false) : Json();
  const std::string id = known.is_object() ? string_or(known, "id") : "";
  if (RunId::parse(id) && *text == document(id)) return id + " " + path.string();
  const std::string fresh = RunId::random().str();
  CHECKED(os::write_atomically(file, document(fresh)));
  return fresh + " " + path.string();
}

VmPaths Store::paths(const VmName& name) const {
  const fs::path directory = vms_of(home_) / name.str();
  return {.directory = directory,
          .record = directory / "vm.json",
          .ledger = directory / "ledger.jsonl",
          .run_lock = directory / "run.lock",
          .last_stop = directory / "last-stop.json",
          .desired = directory / "desired.json",
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
  CHECKED(os::write_atomically(fresh / "vm.json", text_of(record)));
  return os::rename_entry(fresh, at.directory);
}

Result<void> Store::change(const VmRecord& record) const {
  return os::write_atomically(paths(record.spec.name).record, text_of(record));
}

Result<Desired> Store::load_desired(const VmName& name) const {
  const fs::path file = paths(name).desired;
  const auto text = os::read_file(file);
  if (!text) {
    if (text.error().code == Code::not_found) return Desired{};
    return std::unexpected(text.error());
  }
  TRY(const Json json, parse_json(*text, file.string()));
  const auto restarts = std::clamp<std::int64_t>(integer_or(json, "restarts", 0), 0, 1'000'000'000);
  return Desired{.state = string_or(json, "state") == "running" ? Desired::State::running : Desired::State::stopped,
                 .restarts = static_cast<int>(restarts),
                 .restart_due = on(flag_or(json, "restart_due", Flag::off)),
                 .autostarted_boot = string_or(json, "autostarted_boot")};
}

Result<void> Store::save_desired(const VmName& name, const Desired& desired) const {
  const Json json{{"version", 1},
                  {"state", desired.state == Desired::State::running ? "running" : "stopped"},
                  {"restarts", desired.restarts},
                  {"restart_due", desired.restart_due},
                  {"autostarted_boot", desired.autostarted_boot}};
  return os::write_atomically(paths(name).desired, dump_pretty(json) + "\n");
}

Result<void> Store::remove(const VmName& name) const {
  // A name of its own: what cannot be removed now must not be in the way of the next one.
  const fs::path gone = vms_of(home_) / (".gone-" + name.str() + "-" + RunId::random().str());
  CHECKED(os::rename_entry(paths(name).directory, gone));
  return os::remove_tree(gone);
}

Result<fs::path> Store::keep_logs(const VmName& name, const std::string& stamp) const {
  fs::path kept = home_ / "logs" / (name.str() + "-" + stamp);
  CHECKED(os::make_private_directory(home_ / "logs"));
  CHECKED(os::make_private_directory(kept));
  std::error_code error;
  for (fs::directory_iterator it(paths(name).directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& file = it->path();
    const bool report = file == paths(name).last_stop;
    if (!report && file.filename().string().find(".log") == std::string::npos) continue;
    if (!fs::is_regular_file(it->symlink_status(error))) continue;
    CHECKED(os::rename_entry(file, kept / file.filename()));
  }
  if (error) return fail(Code::io, "keep the logs of '" + name.str() + "': " + error.message());
  return kept;
}

}  // namespace bulkhead::store
