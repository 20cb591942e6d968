// A QMP conversation over one socket.
//
// A reader thread delivers events and replies. It is joined by the destructor, which does not wait for QEMU.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "qemu/qmp.hpp"
#include "qemu/unix_socket.posix.hpp"

namespace bulkhead::qemu {

// How long a wait may take: until `deadline`, or until give_up() says so; it is asked at least every 50 ms.
struct Patience {
  std::chrono::steady_clock::time_point deadline;
  std::function<bool()> give_up;
};

struct Answer {
  enum class Kind { value, refused, silent, closed };
  Kind kind;
  nlohmann::json value;  // of `value`
  std::string text;      // QEMU's words when refused
  bool ok() const { return kind == Kind::value; }
};

// Called on the reader thread.
struct Listeners {
  std::function<void(const qmp::Event&)> event;
  std::function<void(const std::string&)> run_state;  // after an event that hides why the guest stopped
};

class QmpSession {
 public:
  QmpSession(const std::string& path, Listeners listeners);
  ~QmpSession();
  QmpSession(const QmpSession&) = delete;
  QmpSession& operator=(const QmpSession&) = delete;

  // Waits for the greeting and negotiates; before that QEMU refuses every command.
  Answer greet(const Patience& patience);
  Answer execute(std::string_view command, const Patience& patience);
  // All that QEMU said has been delivered: its last event is often readable only after its death.
  void drain(const Patience& patience);
  bool closed() const;
  bool negotiated() const;  // greet has succeeded
  std::string qemu_version() const;

 private:
  void read();
  void take(const qmp::Message& message);
  void ask_run_state();
  bool send(const std::string& line, const Patience& patience);
  template <class Ready>
  bool wait(std::unique_lock<std::mutex>& lock, const Patience& patience, Ready ready);

  Connection connection_;
  Listeners listeners_;
  std::mutex sending_;
  mutable std::mutex mutex_;  // guards all below but the thread
  std::condition_variable changed_;
  bool closed_ = false;
  bool negotiated_ = false;
  std::optional<std::string> version_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::optional<Answer>> waiting_;
  std::set<std::uint64_t> asked_run_state_;
  std::thread reader_;
};

}  // namespace bulkhead::qemu
