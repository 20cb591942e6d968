#include "store/ledger_codec.hpp"

#include <boost/crc.hpp>
#include <cstdio>

namespace bulkhead::store {

namespace {

constexpr std::size_t sum_digits = 8;

std::string sum_of(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[(crc.checksum() >> shift) & 15U];
  return out;
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
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return decoded;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const bool whole = line.size() > sum_digits + 1 && line[sum_digits] == ' ' &&
                       sum_of(line.substr(sum_digits + 1)) == line.substr(0, sum_digits);
    Json record = whole ? Json::parse(line.substr(sum_digits + 1), nullptr, false) : Json();
    if (!record.is_object()) {
      if (text.empty()) return decoded;  // the last line, with a part of it lost in a power failure
      return fail(Code::unknown, "read ledger: line " + std::to_string(number) + " is damaged");
    }
    decoded.records.push_back(std::move(record));
    decoded.sound_bytes += line.size() + 1;
  }
  return decoded;
}

}  // namespace bulkhead::store
