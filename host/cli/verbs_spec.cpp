#include <iostream>
#include <utility>

#include "base/ids.hpp"
#include "cli/compare.hpp"
#include "cli/document.hpp"
#include "cli/editor.hpp"
#include "cli/print.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

namespace bulkhead::cli {

namespace {

api::Request create_request(const SpecFile& file) {
  api::Request request{.method = "POST", .path = "/v1/vms"};
  request.headers = {{"idempotency-key", RunId::random().str() + RunId::random().str()}};
  request.body = request_body(file);
  return request;
}

// The spec as it would be kept, with all defaults and absolute paths.
Result<Json> checked_spec(const Link& link, const SpecFile& file) {
  TRY(const Json answer, link.ask({.method = "POST", .path = "/v1/specs/check", .body = request_body(file)}, soon()));
  return object_at(answer, "spec");
}

// Of a VM that there is already: nothing when it is what the file says.
Result<void> same_spec(const Link& link, const SpecFile& file, const Json& vm) {
  TRY(const Json wanted, checked_spec(link, file));
  std::vector<Problem> differ = differences(vm.value("spec", Json::object()), wanted);
  if (differ.empty()) return {};
  const std::string name = string_or(vm, "name");
  return std::unexpected(Error{.code = Code::refused,
                               .what = "run '" + name + "': there is a VM of that name with another spec",
                               .hint = "change it: bulkhead edit " + name + "; or remove it: bulkhead remove " + name,
                               .problems = std::move(differ)});
}

std::string pending_text(const Json& vm) {
  std::string text;
  for (const Json& pointer : list_at(vm, "pending")) {
    if (pointer.is_string()) text += "  " + safe(pointer.get<std::string>()) + "\n";
  }
  return text.empty() ? "" : "it runs; these wait for its next start:\n" + text;
}

void keep(Draft& draft, Error& error) {
  draft.keep();
  error.hint += (error.hint.empty() ? "" : "; ") + ("your text is in " + draft.file().string());
}

bool asked_again() {
  if (!is_terminal(Standard::in) || !is_terminal(Standard::err)) return false;
  tell("edit it again? [Y/n] ");
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  return answer.empty() || answer.starts_with('y') || answer.starts_with('Y');
}

struct Change {
  std::string name;
  std::string path;
  Json before;
};

// refused or busy: what the user has to know before the text is thrown away.
Result<Json> put(const Link& link, const Change& change, const Json& wanted, const Json& vm) {
  TRY(const Json now, vm_info(link, change.name));
  if (now.value("spec", Json::object()) != change.before) {
    return fail(Code::busy, "change '" + change.name + "': somebody else changed it in the meantime",
                "see: bulkhead info " + change.name);
  }
  api::Request request{.method = "PUT", .path = change.path};
  request.headers = {{"idempotency-key", RunId::random().str() + RunId::random().str()}};
  request.body = {{"spec", wanted}, {"folder", string_or(vm, "directory")}};
  return link.ask(request, soon());
}

}  // namespace

Result<int> create(const Link& link, const Common& common, const std::string& file) {
  TRY(const SpecFile document, read_spec(file));
  TRY(const Json vm, link.ask(create_request(document), soon()));
  show(common, vm, "created '" + safe(string_or(vm, "name")) + "'\n");
  return 0;
}

Result<int> run(const Link& link, const Common& common, const std::string& file) {
  TRY(const SpecFile document, read_spec(file));
  auto created = link.ask(create_request(document), soon());
  if (!created && created.error().code != Code::exists) return std::unexpected(created.error());
  const std::string name = string_or(document.spec, "name");
  if (created) {
    show_part(common, "created '" + safe(name) + "'\n");
  } else {
    TRY(const Json vm, vm_info(link, name));
    CHECKED(same_spec(link, document, vm));
    if (string_or(vm, "state") == "running") {
      show(common, vm, "'" + safe(name) + "' runs already\n");
      return 0;
    }
  }
  return start(link, common, {.names = {name}});
}

Result<int> validate(const Link& link, const Common& common, const std::vector<std::string>& files) {
  Json results = Json::array();
  int worst = 0;
  for (const std::string& file : files) {
    Result<Json> checked = Json();
    if (auto document = read_spec(file)) {
      checked = checked_spec(link, *document);
    } else {
      checked = std::unexpected(document.error());
    }
    if (checked) {
      show_part(common, safe(file) + ": good\n");
      results.push_back({{"file", file}, {"spec", *checked}});
      continue;
    }
    worst = std::max(worst, exit_code(checked.error().code));
    results.push_back({{"file", file}, {"error", to_json(checked.error())}});
    Error error = checked.error();
    if (files.size() > 1) error = within(file, std::move(error));
    if (common.format == Format::table) tell(render_error(error));
  }
  if (common.format != Format::table) {
    // One file and an error is printed as every command prints it.
    show(common, files.size() == 1 ? results.front() : results, "");
  }
  return worst;
}

Result<int> edit(const Link& link, const Common& common, const std::string& name) {
  TRY(const Json vm, vm_info(link, name));
  TRY(std::string path, vm_path(name));
  const Change change{.name = name, .path = std::move(path), .before = vm.value("spec", Json::object())};
  const std::string before = dump_pretty(change.before) + "\n";
  TRY(Draft draft, Draft::create(name + ".json", before));
  for (;;) {
    if (auto edited = draft.edit(); !edited) {
      const auto written = draft.text();
      if (written && *written != before) keep(draft, edited.error());
      return std::unexpected(edited.error());
    }
    TRY(const std::string text, draft.text());
    auto wanted = parse_json(text, name + ".json");
    if (wanted && *wanted == change.before) {
      show(common, vm, "'" + name + "' is not changed\n");
      return 0;
    }
    auto changed = wanted ? put(link, change, *wanted, vm) : Result<Json>(std::unexpected(wanted.error()));
    if (changed) {
      show(common, *changed, "changed '" + name + "'\n" + pending_text(*changed));
      return 0;
    }
    Error error = changed.error();
    const bool text_is_wrong = error.code == Code::invalid;
    if (text_is_wrong && common.format == Format::table && is_terminal(Standard::in)) {
      tell(render_error(error));
      if (asked_again()) continue;
      error = Error{.code = Code::invalid, .what = "edit '" + name + "': it is not changed"};
    }
    keep(draft, error);
    return std::unexpected(std::move(error));
  }
}

}  // namespace bulkhead::cli
