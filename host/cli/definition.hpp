#pragma once

#include <string>
#include <vector>

// The commands as data: what help, completion and manual pages are made of. Pure.
namespace bulkhead::cli {

enum class Expects { nothing, text, file, vm, choice };

struct OptionDefinition {
  std::vector<std::string> names;  // with their dashes; the long one last
  std::string help;
  std::string value{};  // "TIME"; empty: a flag
  Expects expects = Expects::nothing;
  std::vector<std::string> choices{};
};

struct OperandDefinition {
  std::string name;
  std::string help;
  Expects expects = Expects::text;
  std::vector<std::string> choices{};
  bool required = true;
  bool many = false;
};

struct CommandDefinition {
  std::string name;
  std::string help;
  std::string details{};  // paragraphs
  std::vector<OptionDefinition> options{};
  std::vector<OperandDefinition> operands{};
  std::vector<CommandDefinition> commands{};
};

}  // namespace bulkhead::cli
