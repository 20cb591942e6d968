#include "cli/editor.hpp"

#include <cerrno>
#include <cstdlib>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "cli/terminal.hpp"
#include "os/file.hpp"
#include "os/last_error.hpp"
#include "os/paths.hpp"

namespace bulkhead::cli {

Result<Draft> Draft::create(const std::string& name, const std::string& text) {
  std::error_code error;
  std::string folder = (std::filesystem::temp_directory_path(error) / "bulkhead-edit-XXXXXX").string();
  if (error) return fail(Code::io, "find the folder for temporary files: " + error.message());
  if (::mkdtemp(folder.data()) == nullptr) return os::last_error("create '" + folder + "'");
  Draft draft(std::filesystem::path(folder) / name);
  CHECKED(os::write_atomically(draft.file_, text));
  return draft;
}

Draft::Draft(Draft&& other) noexcept : file_(std::exchange(other.file_, {})), kept_(other.kept_) {}

Draft::~Draft() {
  if (kept_ || file_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(file_.parent_path(), ignored);
}

Result<void> Draft::edit() const {
  const std::string editor = os::environment("VISUAL").value_or(os::environment("EDITOR").value_or(std::string("vi")));
  // By the shell, since the variable may hold arguments; the file's name is no part of what the shell reads.
  std::string shell = "sh";
  std::string flag = "-c";
  std::string command = editor + " \"$1\"";
  std::string file = file_.string();
  char* const argv[] = {shell.data(), flag.data(), command.data(), shell.data(), file.data(), nullptr};
  const Interrupts not_ours;  // Ctrl-C is for the editor
  pid_t child = 0;
  if (const int failed = ::posix_spawn(&child, "/bin/sh", nullptr, nullptr, argv, environ); failed != 0) {
    errno = failed;
    return os::last_error("start '" + editor + "'");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return os::last_error("wait for '" + editor + "'");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const std::string how = WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status));
  return fail(Code::cancelled, "edit with '" + editor + "': it ended with " + how, "set VISUAL or EDITOR");
}

Result<std::string> Draft::text() const { return os::read_file(file_); }

}  // namespace bulkhead::cli
