#include "cli/output.hpp"

#include <iostream>

#include "cli/print.hpp"
#include "cli/yaml.hpp"

namespace bulkhead::cli {

void show(const Common& common, const Json& document, const std::string& text) {
  switch (common.format) {
    case Format::table: std::cout << text; break;
    case Format::json: std::cout << dump_pretty(document) << "\n"; break;
    case Format::yaml: std::cout << to_yaml(document); break;
  }
  std::cout << std::flush;
}

void show_part(const Common& common, const std::string& text) {
  if (common.format == Format::table) std::cout << text << std::flush;
}

void tell(const std::string& text) { std::cerr << text << std::flush; }

void show_error(const Common& common, const Error& error) {
  if (common.format == Format::table) {
    tell(render_error(error));
  } else {
    show(common, Json{{"error", to_json(error)}}, "");
  }
}

}  // namespace bulkhead::cli
