#include "cli/doctor.hpp"

#include <algorithm>
#include <fmt/core.h>

#include "cli/print.hpp"

namespace bulkhead::cli {

namespace {

using Kind = Finding::Kind;

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::good: return "ok";
    case Kind::note: return "note";
    case Kind::broken: return "broken";
  }
  return "broken";
}

Finding of_error(std::string subject, const Error& error) {
  std::string says = error.what;
  for (const Problem& problem : error.problems) {
    says += "; " + (problem.pointer.empty() ? std::string("the document") : problem.pointer) + ": " + problem.reason;
  }
  std::string hint = error.hint;
  if (hint.empty() && !error.problems.empty()) hint = error.problems.front().hint;
  return {.kind = Kind::broken, .subject = std::move(subject), .says = std::move(says), .hint = std::move(hint)};
}

void look_at_host(std::vector<Finding>& found, const Json& host) {
  const Json containment = object_at(host, "containment").value_or(Json::object());
  found.push_back({.subject = "daemon",
                   .says = fmt::format("version {}, pid {}", string_or(host, "version"), integer_or(host, "pid", 0))});
  found.push_back({.subject = "containment", .says = string_or(containment, "mechanism")});
  for (const Json& obstacle : list_at(containment, "obstacles")) {
    found.push_back(
        {.kind = Kind::note,
         .subject = "containment",
         .says = fmt::format("not by {}: {}", string_or(obstacle, "mechanism"), string_or(obstacle, "why"))});
  }
  if (const auto orphans = integer_or(host, "orphans", 0); orphans > 0) {
    found.push_back({.kind = Kind::broken,
                     .subject = "leftovers",
                     .says = fmt::format("{} of earlier runs that no VM claims", orphans),
                     .hint = "see: bulkhead repair --dry-run"});
  }
}

void look_at_drivers(std::vector<Finding>& found, const Json& drivers) {
  for (const Json& driver : list_at(drivers, "drivers")) {
    found.push_back(
        {.subject = "driver", .says = fmt::format("{} {}", string_or(driver, "id"), string_or(driver, "version"))});
  }
  for (const Json& broken : list_at(drivers, "broken")) {
    const Error error = error_from_json(object_at(broken, "error").value_or(Json::object()));
    Finding finding = of_error("driver", error);
    finding.says = string_or(broken, "folder") + ": " + finding.says;
    if (finding.hint.empty()) finding.hint = "install it again, or remove its folder";
    found.push_back(std::move(finding));
  }
  if (list_at(drivers, "drivers").empty()) {
    found.push_back({.kind = Kind::broken,
                     .subject = "driver",
                     .says = "there is none that can be used",
                     .hint = "see where they are looked for: bulkhead driver list"});
  }
}

void look_at_vms(std::vector<Finding>& found, const Json& vms) {
  for (const Json& vm : list_at(vms, "vms")) {
    const std::string state = string_or(vm, "state");
    const std::string name = string_or(vm, "name");
    if (state == "stuck") {
      found.push_back({.kind = Kind::broken,
                       .subject = "VM '" + name + "'",
                       .says = "stuck: " + string_or(vm, "why"),
                       .hint = "try again: bulkhead stop --force " + name});
    }
    if (state == "lost") {
      found.push_back({.kind = Kind::broken,
                       .subject = "VM '" + name + "'",
                       .says = "lost: " + string_or(vm, "why"),
                       .hint = "look before anything is ended: bulkhead info " + name});
    }
    if (state == "failed") {
      found.push_back({.kind = Kind::note,
                       .subject = "VM '" + name + "'",
                       .says = "failed: " + string_or(vm, "why"),
                       .hint = "see: bulkhead logs --source agent " + name});
    }
  }
}

}  // namespace

std::vector<Finding> diagnose(const Symptoms& symptoms) {
  std::vector<Finding> found;
  if (symptoms.config) found.push_back(of_error("host.json", *symptoms.config));
  if (symptoms.daemon) {
    Finding finding = of_error("daemon", *symptoms.daemon);
    if (finding.hint.empty()) finding.hint = "see: bulkhead host logs";
    found.push_back(std::move(finding));
    return found;
  }
  look_at_host(found, symptoms.host);
  look_at_drivers(found, symptoms.drivers);
  look_at_vms(found, symptoms.vms);
  return found;
}

bool healthy(const std::vector<Finding>& findings) {
  return std::ranges::none_of(findings, [](const Finding& f) { return f.kind == Kind::broken; });
}

std::string render_findings(const std::vector<Finding>& findings, Style style) {
  std::vector<Row> rows;
  for (const Finding& finding : findings) {
    Colour colour = Colour::green;
    if (finding.kind == Kind::note) colour = Colour::yellow;
    if (finding.kind == Kind::broken) colour = Colour::red;
    rows.push_back({{std::string(name(finding.kind)), colour}, finding.subject, finding.says});
    if (!finding.hint.empty()) rows.push_back({"", "", "  " + finding.hint});
  }
  return table(std::move(rows), style);
}

Json to_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    Json one{{"kind", name(finding.kind)}, {"subject", finding.subject}, {"says", finding.says}};
    if (!finding.hint.empty()) one["hint"] = finding.hint;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace bulkhead::cli
