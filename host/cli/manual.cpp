#include "cli/manual.hpp"

#include <cctype>
#include <fmt/core.h>
#include <sstream>
#include <vector>

namespace bulkhead::cli {

namespace {

constexpr const char* exit_codes = R"(.SH EXIT STATUS
.TP
.B 0
It was done.
.TP
.B 1
It was not done, or not for every VM.
.TP
.B 2
The command line is wrong.
.TP
.B 3
Refused: a document is wrong, or a policy forbids it.
.TP
.B 4
Not within the time that was given.
.TP
.B 130
Ctrl\-C; what was asked for goes on.
)";

constexpr const char* surroundings = R"(.SH ENVIRONMENT
.TP
.B BULKHEAD_HOME
The home directory, where
.B \-\-home
is not given.
.TP
.B BULKHEAD_LOG_LEVEL
Of a daemon that is started, where
.B \-\-log\-level
is not given.
.TP
.B NO_COLOR
No colours, if set to anything.
.TP
.BR VISUAL ", " EDITOR
The editor.
.SH FILES
.TP
.I $XDG_STATE_HOME/bulkhead
The home directory, if nothing else is said.
)";

// No macro, no escape, and every hyphen one that can be copied.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begins = c == '\n';
  }
  return out;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// A sentence of its own on each line, as manual pages want it; paragraphs are divided by empty lines.
std::string paragraphs(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  bool first = true;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      if (!first) out += ".PP\n";
      continue;
    }
    for (auto end = line.find(". "); end != std::string::npos; end = line.find(". ")) {
      out += roff(line.substr(0, end + 1)) + "\n";
      line.erase(0, end + 2);
    }
    out += roff(line) + "\n";
    first = false;
  }
  return out;
}

std::string sentence(const std::string& help) { return help.ends_with('.') || help.empty() ? help : help + "."; }

std::string alternatives(const std::vector<std::string>& choices) {
  std::string text;
  for (const std::string& choice : choices) text += (text.empty() ? "" : ", ") + choice;
  return text;
}

std::string option_text(const OptionDefinition& option) {
  std::string names;
  for (const std::string& name : option.names) {
    names += (names.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  }
  if (!option.value.empty()) names += " \\fI" + roff(option.value) + "\\fR";
  std::string text = ".TP\n" + names + "\n" + paragraphs(sentence(option.help));
  if (!option.choices.empty()) text += "One of " + roff(alternatives(option.choices)) + ".\n";
  return text;
}

std::string synopsis_of(const std::string& path, const CommandDefinition& command) {
  std::string text = ".B " + roff(path) + "\n";
  if (!command.commands.empty()) text += ".I COMMAND\n";
  text += ".RI [ option " + std::string("...]\n");
  for (const OperandDefinition& operand : command.operands) {
    const std::string dots = operand.many ? " ..." : "";
    text += operand.required ? ".IR " + roff(operand.name) + " \"" + dots + "\"\n"
                             : ".RI [ " + roff(operand.name) + " \"" + dots + "]\"\n";
  }
  return text;
}

std::string operands_text(const CommandDefinition& command) {
  std::string text;
  for (const OperandDefinition& operand : command.operands) {
    text += ".TP\n.I " + roff(operand.name) + "\n" + paragraphs(sentence(operand.help));
    if (!operand.choices.empty()) text += "One of " + roff(alternatives(operand.choices)) + ".\n";
  }
  return text;
}

std::string options_text(const CommandDefinition& command) {
  std::string text = operands_text(command);
  for (const OptionDefinition& option : command.options) text += option_text(option);
  return text;
}

std::string header(const std::string& page, int section, const Edition& edition, const std::string& help) {
  return fmt::format(".TH {} {} \"{}\" \"bulkhead {}\" \"bulkhead\"\n.SH NAME\n{} \\- {}\n", roff(upper(page)), section,
                     edition.date, roff(edition.version), roff(page),
                     roff(help.ends_with('.') ? help.substr(0, help.size() - 1) : help));
}

std::string command_page(const CommandDefinition& program, const CommandDefinition& command, const Edition& edition) {
  const std::string path = program.name + " " + command.name;
  std::string text = header(program.name + "-" + command.name, 1, edition, command.help) + ".SH SYNOPSIS\n";
  if (command.commands.empty()) text += synopsis_of(path, command);
  for (std::size_t i = 0; i < command.commands.size(); ++i) {
    text += (i == 0 ? "" : ".br\n") + synopsis_of(path + " " + command.commands[i].name, command.commands[i]);
  }
  text += ".SH DESCRIPTION\n" + paragraphs(sentence(command.help));
  if (!command.details.empty()) text += ".PP\n" + paragraphs(command.details);
  if (const std::string options = options_text(command); !options.empty()) text += ".SH OPTIONS\n" + options;
  if (!command.commands.empty()) text += ".SH COMMANDS\n";
  for (const CommandDefinition& child : command.commands) {
    text += ".SS " + roff(child.name) + "\n" + paragraphs(sentence(child.help));
    if (!child.details.empty()) text += ".PP\n" + paragraphs(child.details);
    text += options_text(child);
  }
  text += ".PP\nThe options that every command takes are in\n.BR " + roff(program.name) + " (1).\n";
  return text + exit_codes + ".SH SEE ALSO\n.BR " + roff(program.name) + " (1)\n";
}

std::string program_page(const CommandDefinition& program, const Edition& edition) {
  std::string text = header(program.name, 1, edition, program.help) + ".SH SYNOPSIS\n" +
                     synopsis_of(program.name, program) + ".SH DESCRIPTION\n" + paragraphs(sentence(program.help));
  if (!program.details.empty()) text += ".PP\n" + paragraphs(program.details);
  text += ".SH COMMANDS\n";
  for (const CommandDefinition& command : program.commands) {
    text += ".TP\n.BR " + roff(program.name + "-" + command.name) + " (1)\n" + paragraphs(sentence(command.help));
  }
  text += ".SH OPTIONS\nEvery command takes these.\n" + options_text(program) + exit_codes + surroundings;
  return text + ".SH SEE ALSO\n.BR bulkheadd (8)\n";
}

}  // namespace

std::map<std::string, std::string> manual_pages(const CommandDefinition& program, const Edition& edition) {
  std::map<std::string, std::string> pages;
  pages[program.name + ".1"] = program_page(program, edition);
  for (const CommandDefinition& command : program.commands) {
    pages[program.name + "-" + command.name + ".1"] = command_page(program, command, edition);
  }
  return pages;
}

std::string manual_of_help(const CommandDefinition& program, const Edition& edition, int section) {
  std::string text = header(program.name, section, edition, program.help) + ".SH SYNOPSIS\n" +
                     synopsis_of(program.name, program) + ".SH DESCRIPTION\n" + paragraphs(sentence(program.help));
  if (!program.details.empty()) text += ".PP\n" + paragraphs(program.details);
  return text + ".SH OPTIONS\n" + options_text(program) + ".SH SEE ALSO\n.BR bulkhead (1)\n";
}

namespace {

// "--home TEXT     Home directory" or "--mode TEXT:{a,b}", whose help is on the next line.
OptionDefinition option_of_help(const std::string& line) {
  OptionDefinition option;
  const auto help = line.find("  ");
  std::istringstream left(line.substr(0, help));
  std::string names;
  std::string type;
  left >> names >> type;
  std::istringstream each(names);
  for (std::string one; std::getline(each, one, ',');) option.names.push_back(one);
  option.value = type.substr(0, type.find(':'));
  if (const auto begin = type.find('{'); begin != std::string::npos && type.ends_with('}')) {
    std::istringstream choices(type.substr(begin + 1, type.size() - begin - 2));
    for (std::string one; std::getline(choices, one, ',');) option.choices.push_back(one);
  }
  const auto text = help == std::string::npos ? help : line.find_first_not_of(' ', help);
  if (text != std::string::npos) option.help = line.substr(text);
  return option;
}

}  // namespace

CommandDefinition definition_of_help(const std::string& name, const std::string& help) {
  CommandDefinition program{.name = name, .help = ""};
  std::istringstream lines(help);
  std::string line;
  std::getline(lines, line);
  const auto sentence_end = line.find(". ");
  program.help = line.substr(0, sentence_end);
  if (sentence_end != std::string::npos) program.details = line.substr(sentence_end + 2);
  while (std::getline(lines, line) && line != "Options:") {
  }
  while (std::getline(lines, line)) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    if (line[begin] != '-') {
      if (!program.options.empty()) {
        std::string& said = program.options.back().help;
        said += (said.empty() ? "" : " ") + line.substr(begin);
      }
      continue;
    }
    program.options.push_back(option_of_help(line.substr(begin)));
  }
  return program;
}

}  // namespace bulkhead::cli
