#include <algorithm>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <optional>
#include <set>

#include "base/ids.hpp"
#include "base/timestamp.hpp"
#include "catalogue/catalogue.hpp"
#include "cli/archive.hpp"
#include "cli/checkup.hpp"
#include "cli/print.hpp"
#include "cli/redact.hpp"
#include "cli/verbs.hpp"
#include "os/file.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t log_bytes = 1U << 20;
constexpr std::size_t console_bytes = 256U << 10;
constexpr std::size_t document_bytes = 16U << 20;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    found.push_back(it->path());
  }
  std::ranges::sort(found);
  return found;
}

// Driver folders as the daemon looks in them; it may not be there to ask.
std::vector<fs::path> driver_folders(const Link& link, const Json& drivers) {
  std::vector<fs::path> folders;
  for (const Json& folder : list_at(drivers, "folders")) {
    if (folder.is_string()) folders.emplace_back(folder.get<std::string>());
  }
  if (!folders.empty()) return folders;
  if (const auto path = os::environment("BULKHEAD_DRIVER_PATH")) {
    for (std::size_t at = 0; at <= path->size();) {
      const auto end = std::min(path->find(':', at), path->size());
      if (end > at) folders.emplace_back(path->substr(at, end - at));
      at = end + 1;
    }
  }
  folders.push_back(link.home() / "drivers");
  if (const auto programs = os::program_directory()) {
    folders.push_back((*programs / "../lib/bulkhead/drivers").lexically_normal());
  }
  return folders;
}

// A tar archive of any locale can hold it, and no two names become one.
std::string archived_name(const std::string& path) {
  std::string name;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte > 0x20 && byte < 0x7f && c != '%' && c != '\\';
    name += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return name;
}

class Bundle {
 public:
  Bundle(const Link& link, const BundleOptions& options)
      : home_(link.home()),
        options_(options),
        symptoms_(check_up(link, Daemon::as_it_is)),
        catalogue_(catalogue::Catalogue::scan(driver_folders(link, symptoms_.drivers))),
        redactor_([this](const std::string& driver) { return options_schema(driver); }) {}

  void collect(const Link& link, const std::string& version) {
    learn();
    add_versions(version);
    add_answers(link);
    add_document(home_ / "host.json", "host.json");
    for (const fs::path& log : entries_of(home_)) {
      if (log.filename().string().starts_with("bulkheadd.")) add_log(log, log.filename().string(), log_bytes);
    }
    for (const fs::path& folder : entries_of(home_ / "vms")) {
      if (VmName::parse(folder.filename().string())) add_vm(folder);
    }
    for (const fs::path& folder : entries_of(home_ / "logs")) add_kept_logs(folder);
  }

  std::vector<ArchiveEntry> finished() {
    Json manifest{{"created_at", timestamp_now()},
                  {"values_left_out", redactor_.taken()},
                  {"left_out", left_out_},
                  {"files", Json::array()}};
    for (const ArchiveEntry& entry : entries_) {
      manifest["files"].push_back({{"path", entry.path}, {"bytes", entry.content.size()}});
    }
    std::vector<ArchiveEntry> all{{.path = "MANIFEST.json", .content = dump_pretty(manifest) + "\n"}};
    all.insert(all.end(), entries_.begin(), entries_.end());
    for (ArchiveEntry& entry : all) entry.path.insert(0, "bulkhead-support/");
    return all;
  }

  const Json& left_out() const { return left_out_; }

 private:
  std::optional<Json> options_schema(const std::string& driver) const {
    const auto found = catalogue_.find(driver);
    if (!found) return std::nullopt;
    return found->options.document();
  }

  // Secrets are first looked for in all specs, so that they are found again in logs and command lines.
  void learn() {
    for (const fs::path& folder : entries_of(home_ / "vms")) {
      learn_file(folder / "vm.json");
      if (const auto ledger = os::read_tail(folder / "ledger.jsonl", document_bytes)) {
        each_line(*ledger, [this](const Json& record) { redactor_.learn(record); }, [](std::string_view) {});
      }
    }
    learn_file(home_ / "host.json");
  }

  void learn_file(const fs::path& file) {
    const auto text = os::read_file(file);
    if (!text) return;
    if (const auto json = parse_json(*text, file.string())) redactor_.learn(*json);
  }

  static void each_line(std::string_view text, const std::function<void(const Json&)>& document,
                        const std::function<void(std::string_view)>& other) {
    for (std::size_t begin = 0; begin < text.size();) {
      const auto end = std::min(text.find('\n', begin), text.size());
      const auto line = text.substr(begin, end - begin);
      if (const auto json = parse_json(line, "line"); json && json->is_structured()) {
        document(*json);
      } else {
        other(line);
      }
      begin = end + 1;
    }
  }

  void leave_out(const std::string& path, const std::string& why) {
    left_out_.push_back({{"path", path}, {"why", why}});
  }

  void add(const std::string& path, std::string content) {
    entries_.push_back({.path = archived_name(path), .content = std::move(content)});
  }

  void add_json(const std::string& path, const Json& document) {
    add(path, dump_pretty(redactor_.redact(document)) + "\n");
  }

  void add_versions(const std::string& version) {
    Json versions{{"bulkhead", version}, {"bulkheadd", string_or(symptoms_.host, "version", "does not answer")}};
    for (const char* file : {"/proc/version", "/etc/os-release"}) {
      std::ifstream in(file);
      std::string text(std::istreambuf_iterator<char>(in), {});
      if (!text.empty()) versions[file] = text;
    }
    add_json("versions.json", versions);
  }

  void add_answers(const Link& link) {
    const std::vector<Finding> findings = diagnose(symptoms_);
    add("doctor.txt", redactor_.redact_text(render_findings(findings, Style::plain)));
    if (symptoms_.daemon) {
      leave_out("api/", "bulkheadd does not answer: " + redactor_.redact_text(symptoms_.daemon->what));
      add("drivers.txt", found_drivers());
      return;
    }
    add_json("api/host.json", symptoms_.host);
    add_json("api/drivers.json", symptoms_.drivers);
    add_json("api/vms.json", symptoms_.vms);
    for (const char* what : {"operations", "events"}) {
      add_answer(link, std::string("/v1/") + what, std::string("api/") + what + ".json");
    }
    for (const Json& vm : list_at(symptoms_.vms, "vms")) {
      const auto name = VmName::parse(string_or(vm, "name"));
      if (name) add_answer(link, "/v1/vms/" + name->str(), "vms/" + name->str() + "/info.json");
    }
  }

  void add_answer(const Link& link, const std::string& resource, const std::string& path) {
    const auto answer = link.call({.method = "GET", .path = resource}, soon());
    if (answer) {
      add_json(path, *answer);
    } else {
      leave_out(path, redactor_.redact_text(answer.error().what));
    }
  }

  std::string found_drivers() const {
    std::string text;
    for (const catalogue::Driver& driver : catalogue_.drivers()) {
      text += driver.manifest.id + " " + driver.manifest.version + "\n";
    }
    for (const catalogue::Broken& broken : catalogue_.broken()) {
      text += "broken: " + broken.folder.string() + ": " + broken.why.what + "\n";
    }
    return text.empty() ? "none\n" : text;
  }

  // A document that cannot be read cannot be searched for secrets either.
  void add_document(const fs::path& file, const std::string& path) {
    const auto text = os::read_file(file);
    if (!text) {
      if (text.error().code != Code::not_found) leave_out(path, text.error().what);
      return;
    }
    const auto json = parse_json(*text, path);
    if (!json) {
      leave_out(path, "not a JSON document, so what in it is secret cannot be told");
      return;
    }
    add_json(path, *json);
  }

  void add_ledger(const fs::path& file, const std::string& path) {
    const auto text = os::read_tail(file, document_bytes);
    if (!text) {
      if (text.error().code != Code::not_found) leave_out(path, text.error().what);
      return;
    }
    std::string lines;
    each_line(
        *text, [&](const Json& record) { lines += dump(redactor_.redact(record)) + "\n"; },
        [&](std::string_view line) { lines += redactor_.redact_text(line) + "\n"; });
    add(path, std::move(lines));
  }

  // JSON lines and texts. The first line of a tail may begin within a secret: it goes.
  void add_log(const fs::path& file, const std::string& path, std::size_t bytes) {
    auto text = os::read_tail(file, bytes);
    if (!text) {
      if (text.error().code != Code::not_found) leave_out(path, text.error().what);
      return;
    }
    if (text->size() >= bytes) text->erase(0, std::min(text->find('\n'), text->size() - 1) + 1);
    std::string lines;
    std::string plain;
    const auto flush = [&] {
      lines += redactor_.redact_text(plain);
      plain.clear();
    };
    each_line(
        *text,
        [&](const Json& record) {
          flush();
          lines += dump(redactor_.redact(record)) + "\n";
        },
        [&](std::string_view line) { plain += std::string(line) + "\n"; });
    flush();
    add(path, std::move(lines));
  }

  void add_vm(const fs::path& folder) {
    const std::string path = "vms/" + folder.filename().string() + "/";
    add_document(folder / "vm.json", path + "vm.json");
    add_document(folder / "last-stop.json", path + "last-stop.json");
    add_ledger(folder / "ledger.jsonl", path + "ledger.jsonl");
    add_logs(folder, path);
  }

  void add_kept_logs(const fs::path& folder) { add_logs(folder, "logs/" + folder.filename().string() + "/"); }

  void add_logs(const fs::path& folder, const std::string& path) {
    for (const fs::path& file : entries_of(folder)) {
      const std::string name = file.filename().string();
      if (!name.ends_with(".log")) continue;
      if (!name.starts_with("console")) {
        add_log(file, path + name, log_bytes);
      } else if (on(options_.with_console)) {
        add_log(file, path + name, console_bytes);
      } else {
        leave_out(path + name, "what a guest said may hold secrets; --with-console takes it too");
      }
    }
  }

  fs::path home_;
  BundleOptions options_;
  Symptoms symptoms_;
  catalogue::Catalogue catalogue_;
  Redactor redactor_;
  std::vector<ArchiveEntry> entries_;
  Json left_out_ = Json::array();
};

std::string usual_name() {
  std::string time = timestamp_now().substr(0, 19);  // 2024-05-01T12:00:00
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return "bulkhead-support-" + time + ".tar.gz";
}

}  // namespace

Result<int> support_bundle(const Link& link, const Common& common, const BundleOptions& options,
                           const std::string& version) {
  const std::string file = options.file.empty() ? usual_name() : options.file;
  Bundle bundle(link, options);
  bundle.collect(link, version);
  const std::vector<ArchiveEntry> entries = bundle.finished();
  CHECKED(write_archive(file, entries));
  std::string text = "wrote " + safe(file) + ", " + std::to_string(entries.size()) + " files\n";
  for (const Json& one : bundle.left_out()) {
    text += "  without " + safe(string_or(one, "path")) + ": " + safe(string_or(one, "why")) + "\n";
  }
  show(common, Json{{"file", file}, {"files", entries.size()}, {"left_out", bundle.left_out()}}, text);
  return 0;
}

}  // namespace bulkhead::cli
