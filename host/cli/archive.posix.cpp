#include "cli/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "os/handle.hpp"
#include "os/last_error.hpp"

namespace bulkhead::cli {

namespace {

struct FreeArchive {
  void operator()(archive* a) const { ::archive_write_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { ::archive_entry_free(e); }
};

Result<void> failed(archive* a, const std::filesystem::path& file) {
  const char* const why = ::archive_error_string(a);
  return fail(Code::io, "write '" + file.string() + "': " + (why != nullptr ? why : "unknown"));
}

Result<void> write_to(int descriptor, const std::filesystem::path& file, const std::vector<ArchiveEntry>& entries) {
  const std::unique_ptr<archive, FreeArchive> out(::archive_write_new());
  if (::archive_write_add_filter_gzip(out.get()) != ARCHIVE_OK ||
      ::archive_write_set_format_pax_restricted(out.get()) != ARCHIVE_OK ||
      ::archive_write_open_fd(out.get(), descriptor) != ARCHIVE_OK) {
    return failed(out.get(), file);
  }
  for (const ArchiveEntry& one : entries) {
    const std::unique_ptr<archive_entry, FreeEntry> entry(::archive_entry_new());
    ::archive_entry_set_pathname_utf8(entry.get(), one.path.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    ::archive_entry_set_perm(entry.get(), 0600);
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(one.content.size()));
    ::archive_entry_set_mtime(entry.get(), std::time(nullptr), 0);
    if (::archive_write_header(out.get(), entry.get()) != ARCHIVE_OK) return failed(out.get(), file);
    const la_ssize_t put = ::archive_write_data(out.get(), one.content.data(), one.content.size());
    if (put < 0 || static_cast<std::size_t>(put) != one.content.size()) return failed(out.get(), file);
  }
  if (::archive_write_close(out.get()) != ARCHIVE_OK) return failed(out.get(), file);
  return {};
}

}  // namespace

Result<void> write_archive(const std::filesystem::path& file, const std::vector<ArchiveEntry>& entries) {
  const os::UniqueHandle handle(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!handle) return os::last_error("create '" + file.string() + "'");
  auto written = write_to(static_cast<int>(handle.get()), file, entries);
  if (!written) ::unlink(file.c_str());
  return written;
}

}  // namespace bulkhead::cli
