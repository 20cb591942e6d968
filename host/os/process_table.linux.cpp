#include "os/process_table.hpp"

#include <charconv>
#include <filesystem>
#include <sstream>
#include <sys/stat.h>

#include "os/file.hpp"

namespace bulkhead::os {

namespace {

std::string proc_path(std::int64_t pid, const char* leaf) { return "/proc/" + std::to_string(pid) + "/" + leaf; }

// "pid (name) state ppid pgrp session ... starttime": the name may hold anything, so fields are counted after its last
// ')'.
Result<ProcessInfo> parse_stat(std::int64_t pid, const std::string& stat, const std::string& boot) {
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return fail(Code::io, "read '" + proc_path(pid, "stat") + "': not as expected");
  }
  ProcessInfo info{.identity = {.pid = pid, .start_time = 0, .boot_id = boot}};
  info.name = stat.substr(open + 1, close - open - 1);
  std::istringstream fields(stat.substr(close + 1));
  fields >> info.state >> info.parent >> info.group >> info.session;
  constexpr int fields_until_start_time = 15;  // tty_nr (7th field) to itrealvalue (21st)
  std::string skipped;
  for (int i = 0; i < fields_until_start_time; ++i) fields >> skipped;
  fields >> info.identity.start_time;
  if (!fields) return fail(Code::io, "read '" + proc_path(pid, "stat") + "': not as expected");
  return info;
}

}  // namespace

Result<std::string> boot_id() {
  static const Result<std::string> id = []() -> Result<std::string> {
    TRY(std::string text, read_file("/proc/sys/kernel/random/boot_id"));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

Result<ProcessInfo> process_info(std::int64_t pid) {
  TRY(const std::string boot, boot_id());
  auto stat = read_file(proc_path(pid, "stat"));
  if (!stat) {
    if (stat.error().code == Code::not_found || stat.error().code == Code::gone) {
      return fail(Code::gone, "process " + std::to_string(pid) + ": does not exist");
    }
    return std::unexpected(stat.error());
  }
  return parse_stat(pid, *stat, boot);
}

Result<std::vector<ProcessInfo>> process_table() {
  std::vector<ProcessInfo> all;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::int64_t pid = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc{} || rest != name.data() + name.size()) continue;
    if (auto info = process_info(pid)) {
      all.push_back(*std::move(info));
    } else if (info.error().code != Code::gone) {
      return std::unexpected(info.error());
    }
  }
  if (error) return fail(Code::io, "list '/proc': " + error.message());
  return all;
}

std::vector<std::int64_t> own_children() {
  std::vector<std::int64_t> pids;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/task", error), end; !error && it != end;
       it.increment(error)) {
    const auto text = read_file(it->path() / "children");
    if (!text) continue;
    std::istringstream numbers(*text);
    for (std::int64_t pid = 0; numbers >> pid;) pids.push_back(pid);
  }
  return pids;
}

std::string waits_for(std::int64_t pid) {
  const auto text = read_file(proc_path(pid, "wchan"));
  return text && *text != "0" ? *text : "";
}

namespace {

std::optional<std::string> value_in(const std::string& environment, const std::string& key) {
  const std::string wanted = key + "=";
  std::size_t at = 0;
  while (at < environment.size()) {
    const auto end = std::min(environment.find('\0', at), environment.size());
    if (environment.compare(at, wanted.size(), wanted) == 0) {
      return environment.substr(at + wanted.size(), end - at - wanted.size());
    }
    at = end + 1;
  }
  return std::nullopt;
}

// By its pid, a process whose first thread has ended reads as gone, as empty, or, for its own user, as denied; its
// other threads still have the environment.
Result<std::string> any_threads_environment(std::int64_t pid) {
  Result<std::string> text = "";
  std::error_code error;
  for (std::filesystem::directory_iterator it(proc_path(pid, "task"), error), end; !error && it != end;
       it.increment(error)) {
    auto read = read_file(it->path() / "environ");
    if (read && !read->empty()) return read;
    if (!read && read.error().code != Code::gone && read.error().code != Code::not_found) text = std::move(read);
  }
  return text;
}

}  // namespace

Result<std::optional<std::string>> environment_value(std::int64_t pid, const std::string& key) {
  auto text = read_file(proc_path(pid, "environ"));
  const bool nothing = text ? text->empty() : text.error().code == Code::gone || text.error().code == Code::denied;
  if (nothing) text = any_threads_environment(pid);
  if (text) return value_in(*text, key);
  const Code code = text.error().code;
  if (code == Code::not_found || code == Code::gone || code == Code::denied) return std::nullopt;
  return std::unexpected(text.error());
}

bool sees_the_same(std::int64_t pid, const std::filesystem::path& path) {
  struct stat ours{};
  struct stat theirs{};
  const std::string seen_by_it = proc_path(pid, "root") + path.string();
  return ::stat(path.c_str(), &ours) == 0 && ::stat(seen_by_it.c_str(), &theirs) == 0 && ours.st_dev == theirs.st_dev &&
         ours.st_ino == theirs.st_ino;
}

}  // namespace bulkhead::os
