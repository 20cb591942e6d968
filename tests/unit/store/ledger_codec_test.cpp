#include "store/ledger_codec.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using store::decode_lines;
using store::encode_line;

namespace {

const std::vector<Json> records{{{"type", "begin"}, {"run", "0123456789abcdef"}},
                                {{"type", "process"}, {"pid", 4711}, {"program", "/usr/bin/größe \"x\"\n"}},
                                {{"type", "end"}}};

std::string ledger_of(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += encode_line(records[i]);
  return text;
}

}  // namespace

TEST_CASE("what is written is read again, in order") {
  const auto decoded = decode_lines(ledger_of(3)).value();
  CHECK(decoded.records == records);
  CHECK(decoded.sound_bytes == ledger_of(3).size());
}

TEST_CASE("an empty ledger has no records and is not damaged") {
  const auto decoded = decode_lines("").value();
  CHECK(decoded.records.empty());
  CHECK(decoded.sound_bytes == 0);
}

TEST_CASE("a record is one line, whatever is in it") {
  const std::string line = encode_line(Json{{"text", "a\nb\r\n\xff\x01"}});
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(decode_lines(line).value().records.size() == 1);
}

TEST_CASE("a line begins with eight hex digits of its CRC-32") {
  // As gzip computes it for "{}".
  CHECK(encode_line(Json::object()) == "a3a6bf43 {}\n");
}

TEST_CASE("a last line that is torn at any byte is left out, and nothing else") {
  const std::string whole = ledger_of(3);
  const std::size_t sound = ledger_of(2).size();
  for (std::size_t size = sound; size < whole.size(); ++size) {
    INFO("cut to " << size << " of " << whole.size() << " bytes");
    const auto decoded = decode_lines(std::string_view(whole).substr(0, size));
    REQUIRE(decoded.has_value());
    CHECK(decoded->records.size() == 2);
    CHECK(decoded->sound_bytes == sound);
  }
}

TEST_CASE("a first line that is torn at any byte leaves no records") {
  const std::string whole = ledger_of(1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = decode_lines(std::string_view(whole).substr(0, size));
    REQUIRE(decoded.has_value());
    CHECK(decoded->records.empty());
    CHECK(decoded->sound_bytes == 0);
  }
}

TEST_CASE("a last line whose blocks were not all written is left out") {
  for (std::size_t lost = 0; lost + 1 < encode_line(records[2]).size(); ++lost) {
    std::string text = ledger_of(3);
    text[ledger_of(2).size() + lost] = '\0';
    INFO("zero byte at " << lost);
    const auto decoded = decode_lines(text);
    REQUIRE(decoded.has_value());
    CHECK(decoded->records.size() == 2);
    CHECK(decoded->sound_bytes == ledger_of(2).size());
  }
}

TEST_CASE("an earlier line with any single bit changed is refused, its end of line included") {
  const std::string whole = ledger_of(3);
  const std::size_t earlier = ledger_of(2).size();
  for (std::size_t at = 0; at < earlier; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string text = whole;
      text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ (1U << bit));
      INFO("byte " << at << ", bit " << bit);
      const auto decoded = decode_lines(text);
      REQUIRE_FALSE(decoded.has_value());
      CHECK(decoded.error().code == Code::unknown);
    }
  }
}

TEST_CASE("an earlier line is refused also when the last one is torn") {
  const std::string whole = ledger_of(2);
  for (std::size_t at = 0; at < ledger_of(1).size(); ++at) {
    std::string text = whole.substr(0, whole.size() - 3);
    text[at] = static_cast<char>(text[at] ^ 1);
    INFO("byte " << at);
    CHECK_FALSE(decode_lines(text).has_value());
  }
}

TEST_CASE("an error names the line") {
  std::string text = ledger_of(3);
  text[ledger_of(1).size() + 12] ^= 1;
  CHECK(decode_lines(text).error().what == "read ledger: line 2 is damaged");
}

TEST_CASE("an empty line, and a sound line that is not an object, are damage") {
  CHECK_FALSE(decode_lines("\n" + ledger_of(1)).has_value());
  CHECK_FALSE(decode_lines(encode_line(Json::array()) + ledger_of(1)).has_value());
}

TEST_CASE("a line of garbage in a file of garbage costs no more than reading it") {
  CHECK(decode_lines(std::string(1'000'000, '}')).value().records.empty());
  CHECK_FALSE(decode_lines(std::string(1000, '\n')).has_value());
}
