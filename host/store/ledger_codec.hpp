#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

// The ledger's lines: "<crc32, 8 hex digits> <JSON object>\n". Pure.
namespace bulkhead::store {

std::string encode_line(const Json& record);

struct Decoded {
  std::vector<Json> records{};
  std::uint64_t sound_bytes = 0;  // what follows is a last line that was torn by a crash
};
// A torn last line was never acted upon, and is left out. unknown: a line before it is damaged, and nothing may be
// guessed.
Result<Decoded> decode_lines(std::string_view text);

}  // namespace bulkhead::store
