#pragma once

#include <cstdint>
#include <string>

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

}  // namespace bulkhead::e2e
