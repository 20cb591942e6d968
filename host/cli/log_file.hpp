#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace bulkhead::cli {

// The last `lines` of it, or all that is shown of it; not_found: there is none.
Result<std::string> log_tail(const std::filesystem::path& file, std::optional<std::size_t> lines);

// The same, and then what is added, as it comes, also after the file was replaced by a new one. Ends when `give` or
// `goes_on` says false; the latter is asked about once a second.
Result<void> follow_log(const std::filesystem::path& file, std::optional<std::size_t> lines,
                        const std::function<bool(std::string_view)>& give, const std::function<bool()>& goes_on);

// Pure: the last of them.
std::string_view last_lines(std::string_view text, std::size_t lines);

}  // namespace bulkhead::cli
