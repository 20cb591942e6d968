#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Text for people, in columns, on a terminal or elsewhere. Pure.
namespace bulkhead::cli {

enum class Style { plain, coloured };
enum class Colour { none, green, yellow, red, faint };

// Terminal escapes in what a guest, a driver or a file said stay harmless: no control character is left, neither those
// of one byte nor U+0080 to U+009F, of which one begins a command for the terminal too.
std::string safe(std::string_view text);
// The same for a text of many lines: line ends and tabs stay.
std::string safe_lines(std::string_view text);
// How much of it is before a character that is not whole yet.
std::size_t whole_characters(std::string_view text);

std::string painted(std::string text, Colour colour, Style style);
// Of a VM's state.
Colour colour_of(std::string_view state);

struct Cell {
  // NOLINTBEGIN(google-explicit-constructor): a cell is mostly only its text
  Cell(std::string content) : text(std::move(content)) {}
  Cell(const char* content) : text(content) {}
  // NOLINTEND(google-explicit-constructor)
  Cell(std::string content, Colour painted) : text(std::move(content)), colour(painted) {}
  std::string text;
  Colour colour = Colour::none;
};
using Row = std::vector<Cell>;

// Cells are made safe here.
std::string table(std::vector<Row> rows, Style style);

}  // namespace bulkhead::cli
