#include "os/file.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/last_error.hpp"

namespace bulkhead::os {

namespace {

constexpr mode_t private_file = S_IRUSR | S_IWUSR;

int fd_of(const UniqueHandle& handle) { return static_cast<int>(handle.get()); }

Result<UniqueHandle> open_at(const std::filesystem::path& path, int flags) {
  UniqueHandle handle(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, private_file));
  if (handle) return handle;
  if (errno == ELOOP) {
    return fail(Code::denied, "open '" + path.string() + "': is a symbolic link",
                "remove the link '" + path.string() + "'");
  }
  return last_error("open '" + path.string() + "'");
}

Result<std::string> read_all(const UniqueHandle& handle, const std::filesystem::path& path) {
  std::string content;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd_of(handle), buffer.data(), buffer.size());
    if (got > 0) {
      content.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return content;
    } else if (errno != EINTR) {
      return last_error("read '" + path.string() + "'");
    }
  }
}

Result<void> write_all(const UniqueHandle& handle, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd_of(handle), text.data(), text.size());
    if (put >= 0) {
      text.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno != EINTR) {
      return last_error("write '" + path.string() + "'");
    }
  }
  return {};
}

Result<UniqueHandle> open_directory(const std::filesystem::path& directory) {
  return open_at(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
}

Result<void> sync_directory(const UniqueHandle& handle, const std::filesystem::path& directory) {
  if (::fsync(fd_of(handle)) != 0) return last_error("sync '" + directory.string() + "'");
  return {};
}

}  // namespace

Result<void> rename_entry(const std::filesystem::path& from, const std::filesystem::path& to) {
  TRY(const UniqueHandle directory, open_directory(to.parent_path()));
  if (::rename(from.c_str(), to.c_str()) != 0) return last_error("rename '" + from.string() + "'");
  return sync_directory(directory, to.parent_path());
}

Result<std::string> read_file(const std::filesystem::path& path) {
  TRY(const UniqueHandle handle, open_at(path, O_RDONLY | O_NONBLOCK));  // a pipe must not hold us up
  return read_all(handle, path);
}

Result<std::string> read_tail(const std::filesystem::path& path, std::size_t bytes) {
  TRY(const UniqueHandle handle, open_at(path, O_RDONLY | O_NONBLOCK));
  const off_t size = ::lseek(fd_of(handle), 0, SEEK_END);
  const off_t from = size > static_cast<off_t>(bytes) ? size - static_cast<off_t>(bytes) : 0;
  ::lseek(fd_of(handle), from, SEEK_SET);
  return read_all(handle, path);
}

Result<void> write_atomically(const std::filesystem::path& path, std::string_view content, Readable readable) {
  TRY(const UniqueHandle directory, open_directory(path.parent_path()));
  const std::string name = path.filename().string();
  const std::string fresh = name + ".new";
  const int folder = fd_of(directory);
  ::unlinkat(folder, fresh.c_str(), 0);  // left by a writer that was killed
  auto written = [&]() -> Result<void> {
    const mode_t mode = readable == Readable::by_everybody ? private_file | S_IRGRP | S_IROTH : private_file;
    const UniqueHandle handle(
        ::openat(folder, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, private_file));
    if (!handle) return last_error("create '" + path.string() + ".new'");
    CHECKED(write_all(handle, content, path));
    if (::fchmod(fd_of(handle), mode) != 0) return last_error("set the mode of '" + path.string() + ".new'");
    if (::fsync(fd_of(handle)) != 0) return last_error("sync '" + path.string() + ".new'");
    if (::renameat(folder, fresh.c_str(), folder, name.c_str()) != 0) {
      return last_error("rename '" + path.string() + ".new'");
    }
    return {};
  }();
  if (!written) {
    ::unlinkat(folder, fresh.c_str(), 0);
    return written;
  }
  return sync_directory(directory, path.parent_path());
}

Result<void> make_private_directory(const std::filesystem::path& path) {
  std::error_code error;
  if (const auto parent = path.parent_path(); !parent.empty() && !std::filesystem::exists(parent, error)) {
    CHECKED(make_private_directory(parent));
  }
  if (::mkdir(path.c_str(), S_IRWXU) == 0) return {};
  if (errno != EEXIST) return last_error("create directory '" + path.string() + "'");
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return last_error("look at '" + path.string() + "'");
  const std::string what = "use directory '" + path.string() + "'";
  if (!S_ISDIR(info.st_mode)) {
    return fail(Code::denied, what + ": it is " + (S_ISLNK(info.st_mode) ? "a symbolic link" : "not a directory"),
                "remove '" + path.string() + "'");
  }
  if (info.st_uid != ::geteuid()) {
    return fail(Code::denied, what + ": it belongs to user " + std::to_string(info.st_uid),
                "remove it, or set BULKHEAD_HOME to a directory of your own");
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(Code::denied, what + ": others may write to it", "run: chmod 700 '" + path.string() + "'");
  }
  return {};
}

Result<void> remove_entry(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if ((errno == EISDIR || errno == EPERM) && ::rmdir(path.c_str()) == 0) return {};
  return last_error("remove '" + path.string() + "'");
}

Result<void> remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail(Code::io, "remove '" + path.string() + "': " + error.message());
  return {};
}

Result<AppendFile> AppendFile::open(const std::filesystem::path& path, If when) {
  const int flags = O_WRONLY | O_APPEND | (when == If::missing ? O_CREAT | O_EXCL : 0);
  TRY(UniqueHandle handle, open_at(path, flags));
  if (when == If::missing) {
    TRY(const UniqueHandle directory, open_directory(path.parent_path()));
    CHECKED(sync_directory(directory, path.parent_path()));
  }
  return AppendFile{std::move(handle), path};
}

Result<void> AppendFile::append(std::string_view text) {
  if (broken_) return fail(Code::io, "write '" + path_.string() + "': an earlier write failed half-way");
  const off_t before = ::lseek(fd_of(handle_), 0, SEEK_END);
  if (before < 0) return last_error("write '" + path_.string() + "'");
  auto written = write_all(handle_, text, path_);
  if (written && ::fdatasync(fd_of(handle_)) != 0) written = last_error("sync '" + path_.string() + "'");
  // Half a line must not stay: the next one would be glued to it, and both be lost.
  if (!written && ::ftruncate(fd_of(handle_), before) != 0) broken_ = true;
  return written;
}

Result<void> AppendFile::truncate(std::uint64_t size) {
  if (::ftruncate(fd_of(handle_), static_cast<off_t>(size)) != 0)
    return last_error("truncate '" + path_.string() + "'");
  return {};
}

}  // namespace bulkhead::os
