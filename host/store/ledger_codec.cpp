#include "store/ledger_codec.hpp"

#include <boost/crc.hpp>
#include <cstdint>

namespace bulkhead::store {

namespace {

constexpr std::size_t sum_digits = 8;

std::string hex(std::uint32_t checksum) {
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[(checksum >> shift) & 15U];
  return out;
}

std::string sum_of(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return hex(crc.checksum());
}

// Two lines run together, the first of them sound: its end was damaged. A torn write never looks like this.
bool begins_with_a_record(std::string_view line) {
  if (line.size() <= sum_digits + 1 || line[sum_digits] != ' ') return false;
  boost::crc_32_type crc;
  for (const char c : line.substr(sum_digits + 1, line.size() - sum_digits - 2)) {
    crc.process_byte(static_cast<unsigned char>(c));
    if (c == '}' && hex(crc.checksum()) == line.substr(0, sum_digits)) return true;
  }
  return false;
}

}  // namespace

std::string encode_line(const Json& record) {
  const std::string text = dump(record);
  return sum_of(text) + " " + text + "\n";
}

Result<Decoded> decode_lines(std::string_view text) {
  Decoded decoded;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::string_view line = text.substr(0, text.find('\n'));
    const bool ended = line.size() < text.size();
    text.remove_prefix(ended ? line.size() + 1 : line.size());
    const bool whole = ended && line.size() > sum_digits + 1 && line[sum_digits] == ' ' &&
                       sum_of(line.substr(sum_digits + 1)) == line.substr(0, sum_digits);
    Json record = whole ? Json::parse(line.substr(sum_digits + 1), nullptr, false) : Json();
    if (!record.is_object()) {
      // The last line was torn; with an end of line when a part before it was lost in a power failure.
      if (text.empty() && !begins_with_a_record(line)) return decoded;
      return fail(Code::unknown, "read ledger: line " + std::to_string(number) + " is damaged");
    }
    decoded.records.push_back(std::move(record));
    decoded.sound_bytes += line.size() + 1;
  }
  return decoded;
}

}  // namespace bulkhead::store
