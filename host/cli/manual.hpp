#pragma once

#include <map>
#include <string>

#include "cli/definition.hpp"

namespace bulkhead::cli {

struct Edition {
  std::string version;
  std::string date;  // "2024-05-01"
};

// Manual pages by file name: NAME.SECTION of the program, and NAME-COMMAND.SECTION of each command with its
// subcommands.
std::map<std::string, std::string> manual_pages(const CommandDefinition& program, const Edition& edition);

// A page of a program that is known only by what it prints for --help.
std::string manual_of_help(const CommandDefinition& program, const Edition& edition, int section);
// What CLI11 printed: the description, and the options with their help. `name` is the program's.
CommandDefinition definition_of_help(const std::string& name, const std::string& help);

}  // namespace bulkhead::cli
