#include "cli/completion.hpp"
#include "cli/manual.hpp"
#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

CommandDefinition program() {
  return {.name = "bulkhead",
          .help = "Runs VMs",
          .options = {{.names = {"--output"},
                       .help = "How",
                       .value = "FORMAT",
                       .expects = Expects::choice,
                       .choices = {"table", "json"}}},
          .commands = {{.name = "stop",
                        .help = "Stop VMs",
                        .details = ".dot begins this. It's 'quoted' with a back\\slash-and-hyphens.",
                        .options = {{.names = {"-f", "--force"}, .help = "Don't ask"}},
                        .operands = {{.name = "NAME", .help = "The VM", .expects = Expects::vm, .many = true}}},
                       {.name = "host", .help = "The daemon", .commands = {{.name = "start", .help = "Start it"}}}}};
}

bool has(const std::string& text, std::string_view part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("each shell is told every command, option and choice") {
  for (const char* shell : {"bash", "zsh", "fish", "powershell"}) {
    const auto script = completion_script(program(), shell);
    REQUIRE(script);
    INFO(shell);
    for (const char* word : {"stop", "host", "start", "force", "output", "table", "json", "completion names"}) {
      CHECK(has(*script, word));
    }
  }
}

TEST_CASE("a shell that is not known is an error that names those that are") {
  const auto script = completion_script(program(), "csh");
  REQUIRE_FALSE(script);
  CHECK(has(script.error().hint, "powershell"));
}

TEST_CASE("there is a page for the program and each of its commands, and no text of theirs is taken for a macro") {
  const auto pages = manual_pages(program(), {.version = "1.2", .date = "2024-05-01"});
  REQUIRE(pages.size() == 3);
  const std::string& stop = pages.at("bulkhead-stop.1");
  CHECK(has(stop, "\n\\&.dot begins this.\n"));
  CHECK(has(stop, "back\\eslash\\-and\\-hyphens"));
  CHECK(has(stop, "\\fB\\-f\\fR, \\fB\\-\\-force\\fR"));
  CHECK(has(pages.at("bulkhead-host.1"), ".SS start\n"));
  CHECK(has(pages.at("bulkhead.1"), "bulkhead\\-stop"));
}

TEST_CASE("what a program prints for its help is read with types, choices and lines that go on") {
  const CommandDefinition read = definition_of_help("bulkheadd", R"(Runs things. Usually by others.
Usage: bulkheadd [OPTIONS]

Options:
  -h,--help                   Print help
  --home TEXT                 Home directory
  --driver-dir TEXT ...       Look here
  --containment TEXT:{strongest,cgroup} (Env:BULKHEAD_CONTAINMENT)
                              How VMs are contained
)");
  CHECK(read.help == "Runs things");
  CHECK(read.details == "Usually by others.");
  REQUIRE(read.options.size() == 4);
  CHECK(read.options[0].names == std::vector<std::string>{"-h", "--help"});
  CHECK(read.options[0].value.empty());
  CHECK(read.options[1].value == "TEXT");
  CHECK(read.options[2].help == "Look here");
  CHECK(read.options[3].choices == std::vector<std::string>{"strongest", "cgroup"});
  CHECK(read.options[3].help == "How VMs are contained");
}
