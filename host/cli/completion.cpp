#include "cli/completion.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <functional>

namespace bulkhead::cli {

namespace {

using Visit = std::function<void(const std::string& path, const CommandDefinition& command)>;

// The root's path is "", then "stop", "host", "host stop".
void each_command(const CommandDefinition& command, const std::string& path, const Visit& visit) {
  visit(path, command);
  for (const CommandDefinition& child : command.commands) {
    each_command(child, path.empty() ? child.name : path + " " + child.name, visit);
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
  return text;
}

// For sh and zsh, and with another escape for fish and PowerShell.
std::string quoted(const std::string& text, std::string_view escaped_quote) {
  return "'" + replaced(text, "'", escaped_quote) + "'";
}
std::string sh(const std::string& text) { return quoted(text, "'\\''"); }
std::string fish(const std::string& text) { return quoted(replaced(text, "\\", "\\\\"), "\\'"); }
std::string powershell(const std::string& text) { return quoted(text, "''"); }

// What an option of that command may be; those of the program go everywhere.
std::vector<OptionDefinition> options_of(const CommandDefinition& program, const CommandDefinition& command) {
  std::vector<OptionDefinition> options = command.options;
  if (&program == &command) return options;
  for (const OptionDefinition& global : program.options) {
    const auto same = [&](const OptionDefinition& own) { return own.names.back() == global.names.back(); };
    if (std::ranges::none_of(options, same)) options.push_back(global);
  }
  return options;
}

const OperandDefinition* operand_of(const CommandDefinition& command) {
  return command.operands.empty() ? nullptr : &command.operands.front();
}

// "vm", "file", or the words to choose from.
std::string wanted(Expects expects, const std::vector<std::string>& choices) {
  if (expects == Expects::vm) return "@vm";
  if (expects == Expects::file) return "@file";
  return joined(choices);
}

// The tables that bash and zsh share: for the path of a command its words, its options, and what its operands are; for
// "PATH OPTION" what follows it.
std::string sh_tables(const CommandDefinition& program) {
  std::string words;
  std::string options;
  std::string operands;
  std::string values;
  each_command(program, "", [&](const std::string& path, const CommandDefinition& command) {
    std::vector<std::string> names(command.commands.size());
    std::ranges::transform(command.commands, names.begin(), &CommandDefinition::name);
    words += fmt::format("    {}) found={} ;;\n", sh(path), sh(joined(names)));
    std::vector<std::string> flags;
    for (const OptionDefinition& option : options_of(program, command)) {
      flags.insert(flags.end(), option.names.begin(), option.names.end());
      if (option.value.empty()) continue;
      std::string patterns;
      for (const std::string& name : option.names) patterns += (patterns.empty() ? "" : "|") + sh(path + " " + name);
      values += fmt::format("    {}) found={} ;;\n", patterns, sh(wanted(option.expects, option.choices)));
    }
    options += fmt::format("    {}) found={} ;;\n", sh(path), sh(joined(flags)));
    if (const OperandDefinition* operand = operand_of(command)) {
      operands += fmt::format("    {}) found={} ;;\n", sh(path), sh(wanted(operand->expects, operand->choices)));
    }
  });
  return "_bulkhead_words() {\n  found=\n  case \"$1\" in\n" + words + "  esac\n}\n" +
         "_bulkhead_options() {\n  found=\n  case \"$1\" in\n" + options + "  esac\n}\n" +
         "_bulkhead_operand() {\n  found=\n  case \"$1\" in\n" + operands + "  esac\n}\n" +
         "# 1: no option that takes a value.\n_bulkhead_value() {\n  found=\n  case \"$1 $2\" in\n" + values +
         "    *) return 1 ;;\n  esac\n}\n";
}

constexpr const char* bash_rest = R"sh(
_bulkhead() {
  local cur=${COMP_WORDS[COMP_CWORD]} path='' found word i expect='' home=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [ -n "$expect" ]; then
      [ "$expect" = --home ] && home=(--home "${word/#\~/$HOME}")
      expect=''
    elif _bulkhead_value "$path" "$word"; then
      expect=$word
    elif [[ $word != -* ]]; then
      _bulkhead_words "$path"
      case " $found " in *" $word "*) path=${path:+$path }$word ;; esac
    fi
  done
  if [ -n "$expect" ]; then
    _bulkhead_value "$path" "$expect"
  elif [[ $cur == -* ]]; then
    _bulkhead_options "$path"
  else
    _bulkhead_words "$path"
    [ -n "$found" ] || _bulkhead_operand "$path"
  fi
  case $found in
    @vm) COMPREPLY=($(compgen -W "$(bulkhead completion names "${home[@]}" 2>/dev/null)" -- "$cur")) ;;
    @file)
      compopt -o filenames 2>/dev/null
      local IFS=$'\n'
      COMPREPLY=($(compgen -f -- "$cur"))
      ;;
    *) COMPREPLY=($(compgen -W "$found" -- "$cur")) ;;
  esac
}
complete -F _bulkhead bulkhead
)sh";

constexpr const char* zsh_rest = R"sh(
_bulkhead() {
  local verb='' found word expect='' i
  local -a home
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    if [[ -n $expect ]]; then
      [[ $expect == --home ]] && home=(--home ${~word})
      expect=''
    elif _bulkhead_value "$verb" "$word"; then
      expect=$word
    elif [[ $word != -* ]]; then
      _bulkhead_words "$verb"
      [[ " $found " == *" $word "* ]] && verb=${verb:+$verb }$word
    fi
  done
  if [[ -n $expect ]]; then
    _bulkhead_value "$verb" "$expect"
  elif [[ $words[CURRENT] == -* ]]; then
    _bulkhead_options "$verb"
  else
    _bulkhead_words "$verb"
    [[ -n $found ]] || _bulkhead_operand "$verb"
  fi
  case $found in
    @vm) compadd -- ${(f)"$(bulkhead completion names $home 2>/dev/null)"} ;;
    @file) _files ;;
    *) compadd -- ${(s: :)found} ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _bulkhead "$@"
else
  compdef _bulkhead bulkhead
fi
)sh";

std::string fish_script(const CommandDefinition& program) {
  std::string text = R"sh(function __bulkhead_at
    set -l path
    set -l skip 0
    set -l line (commandline -opc)
    for word in $line[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word $__bulkhead_valued
            set skip 1
        else if contains -- (string trim -- "$path $word") $__bulkhead_paths
            set path $path $word
        end
    end
    test "$path" = "$argv[1]"
end
)sh";
  std::string paths;
  std::vector<std::string> valued;
  std::string lines;
  each_command(program, "", [&](const std::string& path, const CommandDefinition& command) {
    if (!path.empty()) paths += " " + fish(path);
    const std::string begin = "complete -c bulkhead -n " + fish("__bulkhead_at " + fish(path));
    for (const CommandDefinition& child : command.commands) {
      lines += begin + " -f -a " + fish(child.name) + " -d " + fish(child.help) + "\n";
    }
    for (const OptionDefinition& option : options_of(program, command)) {
      std::string line = begin;
      for (const std::string& name : option.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      line += " -d " + fish(option.help);
      if (!option.value.empty()) {
        valued.insert(valued.end(), option.names.begin(), option.names.end());
        line += option.expects == Expects::file ? " -r -F" : " -x";
        if (option.expects == Expects::vm) line += " -a '(bulkhead completion names 2>/dev/null)'";
        if (!option.choices.empty()) line += " -a " + fish(joined(option.choices));
      }
      lines += line + "\n";
    }
    const OperandDefinition* operand = operand_of(command);
    if (operand == nullptr) {
      if (command.commands.empty()) lines += begin + " -f\n";
      return;
    }
    if (operand->expects == Expects::file) lines += begin + " -F\n";
    if (operand->expects == Expects::vm) lines += begin + " -f -a '(bulkhead completion names 2>/dev/null)'\n";
    if (!operand->choices.empty()) lines += begin + " -f -a " + fish(joined(operand->choices)) + "\n";
  });
  std::ranges::sort(valued);
  valued.erase(std::ranges::unique(valued).begin(), valued.end());
  return "set -g __bulkhead_paths" + paths + "\nset -g __bulkhead_valued " + joined(valued) + "\n" + text + lines;
}

constexpr const char* powershell_rest = R"sh(
Register-ArgumentCompleter -Native -CommandName bulkhead -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    $expect = ''
    foreach ($element in @($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition -and $wordToComplete -ne '') { break }
        $word = $element.Extent.Text
        if ($expect -ne '') { $expect = ''; continue }
        if ($bulkheadValues.ContainsKey("$path $word")) { $expect = $word; continue }
        if ($bulkheadWords[$path] -contains $word) { $path = "$path $word".Trim() }
    }
    $offers = if ($expect -ne '') { $bulkheadValues["$path $expect"] }
    elseif ($wordToComplete -like '-*') { $bulkheadOptions[$path] }
    elseif ($bulkheadWords[$path].Count -gt 0) { $bulkheadWords[$path] }
    else { $bulkheadOperands[$path] }
    if ($offers -contains '@file') { return }
    if ($offers -contains '@vm') { $offers = @(bulkhead completion names 2>$null) }
    $offers | Where-Object { $_ -like "$wordToComplete*" } |
        ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
}
)sh";

std::string powershell_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + powershell(word);
  return "@(" + text + ")";
}

std::string powershell_wanted(Expects expects, const std::vector<std::string>& choices) {
  if (expects == Expects::vm) return "@('@vm')";
  if (expects == Expects::file) return "@('@file')";
  return powershell_list(choices);
}

std::string powershell_script(const CommandDefinition& program) {
  std::string words;
  std::string options;
  std::string operands;
  std::string values;
  each_command(program, "", [&](const std::string& path, const CommandDefinition& command) {
    std::vector<std::string> names(command.commands.size());
    std::ranges::transform(command.commands, names.begin(), &CommandDefinition::name);
    words += fmt::format("    {} = {}\n", powershell(path), powershell_list(names));
    std::vector<std::string> flags;
    for (const OptionDefinition& option : options_of(program, command)) {
      flags.insert(flags.end(), option.names.begin(), option.names.end());
      if (option.value.empty()) continue;
      for (const std::string& name : option.names) {
        values += fmt::format("    {} = {}\n", powershell(path + " " + name),
                              powershell_wanted(option.expects, option.choices));
      }
    }
    options += fmt::format("    {} = {}\n", powershell(path), powershell_list(flags));
    if (const OperandDefinition* operand = operand_of(command)) {
      operands += fmt::format("    {} = {}\n", powershell(path), powershell_wanted(operand->expects, operand->choices));
    }
  });
  return "$bulkheadWords = @{\n" + words + "}\n$bulkheadOptions = @{\n" + options + "}\n$bulkheadOperands = @{\n" +
         operands + "}\n$bulkheadValues = @{\n" + values + "}\n" + powershell_rest;
}

}  // namespace

Result<std::string> completion_script(const CommandDefinition& program, const std::string& shell) {
  if (shell == "bash") return "# bash completion for bulkhead\n" + sh_tables(program) + bash_rest;
  if (shell == "zsh") return "#compdef bulkhead\n" + sh_tables(program) + zsh_rest;
  if (shell == "fish") return "# fish completion for bulkhead\n" + fish_script(program);
  if (shell == "powershell") return "# PowerShell completion for bulkhead\n" + powershell_script(program);
  return fail(Code::invalid, "complete for '" + shell + "': not a shell that is known",
              "known are: bash, zsh, fish, powershell");
}

}  // namespace bulkhead::cli
