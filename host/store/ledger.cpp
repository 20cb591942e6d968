#include "store/ledger.hpp"

#include "base/failpoint.hpp"
#include "store/ledger_codec.hpp"

namespace bulkhead::store {

Result<Ledger> Ledger::create(const std::filesystem::path& file, const Beginning& beginning) {
  // Written whole and put in place at once: a crash leaves the old, ended ledger or the new one.
  failpoint("ledger.before");
  CHECKED(os::write_atomically(file, encode_line(record::begin(beginning))));
  failpoint("ledger.after");
  TRY(auto append, os::AppendFile::open(file, os::AppendFile::If::exists));
  return Ledger{std::move(append)};
}

Result<Ledger> Ledger::open(const std::filesystem::path& file) {
  TRY(const std::string text, os::read_file(file));
  TRY(const Decoded decoded, decode_lines(text));
  TRY(auto append, os::AppendFile::open(file, os::AppendFile::If::exists));
  if (decoded.sound_bytes < text.size()) CHECKED(append.truncate(decoded.sound_bytes));
  return Ledger{std::move(append)};
}

Result<LedgerView> Ledger::read(const std::filesystem::path& file) {
  TRY(const std::string text, os::read_file(file));
  TRY(const Decoded decoded, decode_lines(text));
  auto view = view_of(decoded.records);
  if (!view) return std::unexpected(within("read '" + file.string() + "'", view.error()));
  return view;
}

Result<void> Ledger::append(const Json& record) {
  failpoint("ledger.before");
  CHECKED(file_.append(encode_line(record)));
  failpoint("ledger.after");
  return {};
}

}  // namespace bulkhead::store
