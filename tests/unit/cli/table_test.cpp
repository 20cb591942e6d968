#include "cli/table.hpp"

#include "support/catch.hpp"

using namespace bulkhead::cli;

TEST_CASE("columns stand below each other, also with colours and with letters of several bytes") {
  const std::vector<Row> rows{{"NAME", "STATE"}, {"größe", {"running", Colour::green}}, {"x", {"failed", Colour::red}}};
  CHECK(table(rows, Style::plain) == "NAME   STATE\ngröße  running\nx      failed\n");
  CHECK(table(rows, Style::coloured) == "NAME   STATE\ngröße  \x1b[32mrunning\x1b[0m\nx      \x1b[31mfailed\x1b[0m\n");
}

TEST_CASE("a cell cannot bring colours or lines of its own") {
  CHECK(table({{"a\x1b[31m\nb", "c"}}, Style::coloured) == "a [31m b  c\n");
}

TEST_CASE("a log that is shown on a terminal keeps its lines, and loses what controls the terminal") {
  CHECK(safe_lines("a\r\n\tb\x1b[2J\n") == "a\n\tb [2J\n");
}
