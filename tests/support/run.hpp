#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::support {

struct Command {
  std::string program;  // a path
  std::vector<std::string> arguments{};
  std::map<std::string, std::string> env{};  // all of it
  std::string input{};                       // then the end of the stream
  std::chrono::milliseconds limit = std::chrono::seconds{60};
};

struct Finished {
  int code = -1;  // -1: ended by a signal
  int signal = 0;
  bool late = false;  // killed at the limit
  std::string out{};
  std::string err{};
};

// A program that runs beside the test. It is killed and reaped when this object goes away.
class Program {
 public:
  explicit Program(Command command);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();
  std::int64_t pid() const { return pid_; }
  void signal(int number) const;
  // Collects its output until it ends or its limit is over.
  Finished wait();

 private:
  void close_all();
  Command command_;
  std::chrono::steady_clock::time_point end_;
  std::int64_t pid_ = 0;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool reaped_ = false;
};

// Runs it to its end.
Finished run(Command command);

}  // namespace bulkhead::support
