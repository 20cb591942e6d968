#include "driver/loader.hpp"

#include <boost/dll/shared_library.hpp>
#include <vector>

namespace bulkhead::driver {

namespace {

constexpr const char* symbol = "bulkhead_driver_v1";

Result<void> check(const bulkhead_entry& entry) {
  if (entry.size < sizeof(bulkhead_entry)) return fail(Code::incompatible, "its entry is smaller than this ABI's");
  if (entry.descriptor == nullptr || entry.descriptor->size < sizeof(bulkhead_descriptor)) {
    return fail(Code::incompatible, "its descriptor is missing, or smaller than this ABI's");
  }
  if (entry.descriptor->abi_major != BULKHEAD_ABI_MAJOR) {
    return fail(Code::incompatible, "its ABI is " + std::to_string(entry.descriptor->abi_major) + ", this host's is " +
                                        std::to_string(BULKHEAD_ABI_MAJOR));
  }
  if (entry.probe == nullptr || entry.open == nullptr) return fail(Code::invalid, "probe or open is null");
  return {};
}

}  // namespace

Result<const bulkhead_entry*> load(const std::filesystem::path& library) {
  const std::string what = "load driver '" + library.string() + "'";
  try {
    // The throwing overload: only it carries the loader's text. Everything is bound now, since a lazy bind would hide a
    // missing symbol until its first call.
    // Never unloaded, on purpose: not even when this process ends, so that no code of a driver runs then.
    static auto& loaded_ones = *new std::vector<boost::dll::shared_library>;
    const boost::dll::shared_library& loaded =
        loaded_ones.emplace_back(library, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (!loaded.has(symbol)) {
      return fail(Code::invalid, what + ": it does not export " + symbol, "build it against the bulkhead SDK");
    }
    const auto& entry = loaded.get<const bulkhead_entry>(symbol);
    if (const auto checked = check(entry); !checked) return std::unexpected(within(what, checked.error()));
    return &entry;
  } catch (const std::exception& e) {
    return fail(Code::unavailable, what + ": " + e.what());
  }
}

}  // namespace bulkhead::driver
