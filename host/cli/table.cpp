#include "cli/table.hpp"

#include <algorithm>

namespace bulkhead::cli {

namespace {

// The bytes of the UTF-8 character at `at`; 0: it is none.
std::size_t character(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : 2;
  if (first < 0xc2 || first >= 0xf5 || at + bytes > text.size()) return 0;
  const auto rest = text.substr(at + 1, bytes - 1);
  const bool whole = std::ranges::all_of(rest, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; });
  return whole ? bytes : 0;
}

bool controls(std::string_view one) {
  const auto first = static_cast<unsigned char>(one.front());
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(one.back()) < 0xa0);
}

// A byte that is no character may control a terminal too, by itself or with what is printed next.
std::string without_controls(std::string_view text, std::string_view kept) {
  std::string clean;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character(text, at);
    const auto one = text.substr(at, std::max<std::size_t>(bytes, 1));
    const bool stays = bytes > 0 && (!controls(one) || kept.find(one) != std::string_view::npos);
    clean += stays ? one : " ";
    at += one.size();
  }
  return clean;
}

// In characters, not in bytes.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

std::string safe(std::string_view text) { return without_controls(text, ""); }

std::string safe_lines(std::string_view text) {
  std::string unix_lines;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') unix_lines += text[i];
  }
  return without_controls(std::move(unix_lines), "\n\t");
}

std::size_t whole_characters(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(text.size(), 3); ++back) {
    const auto c = static_cast<unsigned char>(text[text.size() - back]);
    if ((c & 0xc0U) == 0x80U) continue;
    const std::size_t bytes = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return bytes > back ? text.size() - back : text.size();
  }
  return text.size();
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
      row[i].text = safe(row[i].text);
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
