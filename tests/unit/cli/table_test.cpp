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

TEST_CASE("no byte alone controls a terminal either, and letters of several bytes stay") {
  CHECK(safe("a\x9b"
             "31mb\xc2") == "a 31mb ");
  CHECK(safe("a\xc2\x9b"
             "31m") == "a 31m");
  CHECK(safe("größe 漢 \xf0\x9f\x98\x80") == "größe 漢 \xf0\x9f\x98\x80");
  CHECK(safe_lines("\x80\xe2\x82\n") == "   \n");
}
