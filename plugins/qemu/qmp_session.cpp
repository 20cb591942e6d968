#include "qemu/qmp_session.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "qemu/events.hpp"
#include "qemu/quiet_thread.posix.hpp"

namespace bulkhead::qemu {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto slice = 50ms;

bool spent(const Patience& patience) {
  return Clock::now() >= patience.deadline || (patience.give_up && patience.give_up());
}

}  // namespace

QmpSession::QmpSession(const std::string& path, Listeners listeners)
    : connection_(path), listeners_(std::move(listeners)), reader_(start_quiet_thread([this] { read(); })) {}

QmpSession::~QmpSession() {
  connection_.shut_down();
  reader_.join();
}

void QmpSession::read() {
  qmp::Decoder decoder;
  std::array<char, 16384> buffer{};
  while (!decoder.broken()) {
    const std::size_t n = connection_.receive(buffer.data(), buffer.size());
    if (n == 0) break;
    for (const qmp::Message& message : decoder.feed({buffer.data(), n})) take(message);
  }
  connection_.shut_down();
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void QmpSession::take(const qmp::Message& message) {
  if (const auto* event = std::get_if<qmp::Event>(&message)) {
    if (listeners_.event) listeners_.event(*event);
    if (hides_run_state(*event)) ask_run_state();
    return;
  }
  std::optional<std::string> run_state;
  {
    const std::lock_guard lock(mutex_);
    const auto settle = [&](std::uint64_t id, Answer answer) {
      const auto it = waiting_.find(id);
      if (it != waiting_.end()) it->second = std::move(answer);
    };
    if (const auto* greeting = std::get_if<qmp::Greeting>(&message)) {
      version_ = greeting->version;
    } else if (const auto* failure = std::get_if<qmp::Failure>(&message)) {
      settle(failure->id, {Answer::Kind::refused, nullptr, failure->description});
    } else if (const auto* reply = std::get_if<qmp::Return>(&message)) {
      if (asked_run_state_.erase(reply->id) != 0) run_state = qmp::run_state_in(reply->value);
      settle(reply->id, {Answer::Kind::value, reply->value, ""});
    }
    changed_.notify_all();
  }
  if (run_state && listeners_.run_state) listeners_.run_state(*run_state);
}

// Runs on the reader thread, which must not wait: a question that does not fit into the socket is dropped.
void QmpSession::ask_run_state() {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    asked_run_state_.insert(id);
  }
  send(qmp::encode(id, "query-status"), {Clock::now(), {}});
}

bool QmpSession::send(const std::string& line, const Patience& patience) {
  const std::lock_guard lock(sending_);
  std::string_view rest = line;
  while (true) {
    if (!connection_.send_some(rest)) return false;
    if (rest.empty()) return true;
    if (spent(patience)) break;
    connection_.wait_writable(slice);
  }
  // Half a command would swallow the next one.
  if (rest.size() != line.size()) connection_.shut_down();
  return false;
}

template <class Ready>
bool QmpSession::wait(std::unique_lock<std::mutex>& lock, const Patience& patience, Ready ready) {
  while (!ready() && !closed_) {
    lock.unlock();
    const bool over = spent(patience);
    lock.lock();
    if (over) break;
    if (!ready() && !closed_) changed_.wait_until(lock, std::min(Clock::now() + slice, patience.deadline));
  }
  return ready();
}

Answer QmpSession::greet(const Patience& patience) {
  {
    std::unique_lock lock(mutex_);
    if (!wait(lock, patience, [&] { return version_.has_value(); }))
      return {closed_ ? Answer::Kind::closed : Answer::Kind::silent, nullptr, ""};
  }
  Answer answer = execute("qmp_capabilities", patience);
  // Refused: an earlier attempt to negotiate was only given up here, and QEMU has taken it.
  if (answer.kind == Answer::Kind::refused) answer = execute("query-version", patience);
  const std::lock_guard lock(mutex_);
  negotiated_ = answer.ok();
  return answer;
}

Answer QmpSession::execute(std::string_view command, const Patience& patience) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    waiting_.emplace(id, std::nullopt);
  }
  const bool sent = send(qmp::encode(id, command), patience);
  std::unique_lock lock(mutex_);
  Answer answer{Answer::Kind::silent, nullptr, ""};
  if (sent && wait(lock, patience, [&] { return waiting_[id].has_value(); })) {
    answer = *std::move(waiting_[id]);
  } else if (closed_) {
    answer.kind = Answer::Kind::closed;
  }
  waiting_.erase(id);
  return answer;
}

void QmpSession::drain(const Patience& patience) {
  std::unique_lock lock(mutex_);
  wait(lock, patience, [&] { return closed_; });
}

bool QmpSession::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

bool QmpSession::negotiated() const {
  const std::lock_guard lock(mutex_);
  return negotiated_;
}

std::string QmpSession::qemu_version() const {
  const std::lock_guard lock(mutex_);
  return version_.value_or("");
}

}  // namespace bulkhead::qemu
