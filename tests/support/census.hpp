#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

// What the kernel says of the processes of this machine. The second oracle of the tests: it shares no code with the
// host.
namespace bulkhead::support {

struct Seen {
  std::int64_t pid = 0;
  std::int64_t parent = 0;
  std::int64_t group = 0;
  char state = '?';
  std::string name;
  std::string command;  // the arguments, with spaces between them
  bool operator==(const Seen&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Seen& seen);

// The processes with a live thread whose arguments or environment contain `text`, this process excepted. Each thread is
// asked: of a process whose first thread has ended, only the others can tell.
std::vector<Seen> census(std::string_view text);

// True: a process has this pid, and at least one of its threads lives.
bool alive(std::int64_t pid);

// The processes whose parent is `pid`, zombies too.
std::vector<Seen> children_of(std::int64_t pid);

// The state letter of the process as in ps; '-' when there is none.
char state_of(std::int64_t pid);

// In clock ticks since boot; 0 when there is no such process.
std::uint64_t start_time_of(std::int64_t pid);

// True: somebody holds a lock on the file, as flock(2) sees it.
bool locked(const std::filesystem::path& file);

// Kills the process that was seen, unless its pid is by now that of one that does not mention `text`.
void kill(const Seen& seen, std::string_view text);

// Kills what census(text) finds until it finds nothing: a test that failed leaves nothing behind.
void end_all(std::string_view text);

}  // namespace bulkhead::support
