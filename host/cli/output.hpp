#pragma once

#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "base/json.hpp"
#include "cli/table.hpp"

namespace bulkhead::cli {

enum class Format { table, json, yaml };

// What every command is given.
struct Common {
  Format format = Format::table;
  Style style = Style::plain;  // of standard output
  Flag verbose = Flag::off;
  std::optional<milliseconds> timeout{};
};

// The result of a command, on standard output: `text`, or the document in another format.
void show(const Common& common, const Json& document, const std::string& text);
// A part of a result that is shown while more is to come; nothing in another format than table.
void show_part(const Common& common, const std::string& text);
// In one line.
std::string json_line(const Json& document);
// False: standard output takes no more.
bool flushed();
// The exit code for what became of standard output; tells of a failure that is not the reader's wish.
int end_of_output();
// Everything that is not the result, on standard error.
void tell(const std::string& text);
// On standard error, or as {"error": ...} where a document is expected.
void show_error(const Common& common, const Error& error);

}  // namespace bulkhead::cli
