#include "cli/table.hpp"

#include <algorithm>

namespace bulkhead::cli {

namespace {

std::string without_controls(std::string text, std::string_view kept) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if ((c < 0x20 || c == 0x7f) && kept.find(text[i]) == std::string_view::npos) text[i] = ' ';
    if (c == 0xc2 && next >= 0x80 && next <= 0x9f) text.replace(i, 2, " ");
  }
  return text;
}

// In characters, not in bytes.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

std::string safe(std::string text) { return without_controls(std::move(text), ""); }

std::string safe_lines(std::string_view text) {
  std::string unix_lines;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') unix_lines += text[i];
  }
  return without_controls(std::move(unix_lines), "\n\t");
}

std::string painted(std::string text, Colour colour, Style style) {
  if (style == Style::plain || colour == Colour::none || text.empty()) return text;
  const char* begin = "";
  switch (colour) {
    case Colour::none: break;
    case Colour::green: begin = "\x1b[32m"; break;
    case Colour::yellow: begin = "\x1b[33m"; break;
    case Colour::red: begin = "\x1b[31m"; break;
    case Colour::faint: begin = "\x1b[2m"; break;
  }
  return begin + std::move(text) + "\x1b[0m";
}

Colour colour_of(std::string_view state) {
  if (state == "running") return Colour::green;
  if (state == "starting" || state == "stopping") return Colour::yellow;
  if (state == "failed" || state == "stuck" || state == "lost") return Colour::red;
  return state == "stopped" ? Colour::faint : Colour::none;
}

std::string table(std::vector<Row> rows, Style style) {
  std::vector<std::size_t> widths;
  for (Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i].text = safe(std::move(row[i].text));
      widths[i] = std::max(widths[i], width(row[i].text));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    std::size_t blanks = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string_view content = row[i].text;
      const auto last = content.find_last_not_of(' ');
      if (last == std::string_view::npos) {
        blanks += widths[i] + 2;
        continue;
      }
      line += std::string(blanks, ' ') + painted(std::string(content.substr(0, last + 1)), row[i].colour, style);
      blanks = widths[i] - width(content.substr(0, last + 1)) + 2;
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace bulkhead::cli
