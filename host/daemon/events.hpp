#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>

#include "base/async.hpp"
#include "base/json.hpp"

namespace bulkhead::daemon {

// What happened in one home, in order, for clients to follow: the newest are kept in memory and in HOME/events.jsonl.
// They tell people and programs; nothing of the host itself is decided by them, so a full disk loses only them.
class Events {
 public:
  static constexpr std::size_t kept = 2'000;

  // Goes on where an earlier daemon left off.
  Events(const std::filesystem::path& home, Log log);

  // `vm` may be empty: it is about the host.
  void publish(const std::string& kind, const std::string& vm, Json detail = Json::object());

  struct Page {
    Json events = Json::array();  // {id, at, kind, vm, detail}
    bool gap = false;             // some after the wanted one are not kept any more, or it is not known
    std::uint64_t last = 0;       // the newest id there is, whatever was asked for
  };
  // Those after `id`, of one VM unless it is empty: the oldest `limit` of them.
  Page after(std::uint64_t id, const std::string& vm, std::size_t limit) const;
  // The newest `limit`.
  Page newest(const std::string& vm, std::size_t limit) const;
  std::uint64_t last() const { return last_; }

  // Returns when something was published, at the end, or at the deadline.
  Task<void> next(Deadline deadline);
  // Streams end.
  void close();
  bool closed() const { return closed_; }

 private:
  void load(const std::filesystem::path& file);
  void write(const Json& event);

  std::filesystem::path file_;
  std::filesystem::path older_;
  Log log_;
  std::deque<Json> events_;
  std::uint64_t last_ = 0;
  std::uint64_t dropped_ = 0;  // the newest id that is not kept any more
  bool complained_ = false;
  bool closed_ = false;
  Event changed_;
};

}  // namespace bulkhead::daemon
