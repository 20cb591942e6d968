#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "e2e/host_under_test.hpp"

namespace bulkhead::e2e {

// As the ledger writes its lines: the CRC-32 of the text, then the text.
inline std::string ledger_line(const std::string& text) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  crc = ~crc;
  std::string sum;
  for (int shift = 28; shift >= 0; shift -= 4) sum += "0123456789abcdef"[(crc >> shift) & 15U];
  return sum + " " + text + "\n";
}

// Rewrites each record of a ledger, its sums kept right. One that is made null is left out.
inline void forge_ledger(const std::filesystem::path& ledger, const std::function<void(Json&)>& change) {
  const std::string text = support::read_text(ledger);
  std::string forged;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    const std::string line = text.substr(at, end - at);
    Json record = Json::parse(line.substr(9));
    REQUIRE(ledger_line(record.dump()) == line + "\n");  // the forgery is as good as the original
    change(record);
    if (!record.is_null()) forged += ledger_line(record.dump());
    at = end + 1;
  }
  support::write_text(ledger, forged);
}

}  // namespace bulkhead::e2e
