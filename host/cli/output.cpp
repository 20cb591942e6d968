#include "cli/output.hpp"

#include <cerrno>
#include <fmt/core.h>
#include <iostream>
#include <system_error>

#include "cli/print.hpp"
#include "cli/yaml.hpp"

namespace bulkhead::cli {

namespace {

int write_error = 0;  // of standard output, the first

// Within JSON these can only be parts of texts. Some terminals heed them.
std::string without_controls(const std::string& json) {
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto c = static_cast<unsigned char>(json[i]);
    const auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0U;
    const bool of_two = c == 0xc2 && next >= 0x80 && next < 0xa0;
    if (c != 0x7f && !of_two) {
      text += json[i];
      continue;
    }
    text += fmt::format("\\u{:04x}", of_two ? next : c);
    i += of_two ? 1 : 0;
  }
  return text;
}

}  // namespace

std::string json_line(const Json& document) { return without_controls(dump(document)) + "\n"; }

void show(const Common& common, const Json& document, const std::string& text) {
  switch (common.format) {
    case Format::table: std::cout << text; break;
    case Format::json: std::cout << without_controls(dump_pretty(document)) << "\n"; break;
    case Format::yaml: std::cout << to_yaml(document); break;
  }
  flushed();
}

void show_part(const Common& common, const std::string& text) {
  if (common.format != Format::table) return;
  std::cout << text;
  flushed();
}

bool flushed() {
  std::cout.flush();
  if (!std::cout.good() && write_error == 0) write_error = errno;
  return std::cout.good();
}

int end_of_output() {
  // Who reads no further has what was wanted.
  if (flushed() || write_error == EPIPE) return 0;
  tell("bulkhead: write the result: " + std::generic_category().message(write_error) + "\n");
  return 1;
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
