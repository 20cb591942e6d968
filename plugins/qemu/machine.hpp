// One VM under QEMU: the driver's operations.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bulkhead/driver.hpp"

#include "qemu/accelerator_plan.hpp"
#include "qemu/config.hpp"
#include "qemu/qmp_session.hpp"
#include "qemu/saved_state.hpp"
#include "qemu/unix_socket.posix.hpp"
#include "qemu/verdict_store.hpp"

namespace bulkhead::qemu {

class Machine final : public Driver {
 public:
  Machine(Host host, const Op& op);
  static void probe(Host host, const Op& op);

  void validate(const Op& op) override;
  void start(const Op& op) override;
  void stop(const Op& op) override;
  void inspect(const Op& op) override;
  void recover(const Op& op) override;
  void cleanup(const Op& op) override;
  void remove(const Op& op) override;

 private:
  // What the reader thread has seen. It outlives the session that writes to it.
  struct Seen {
    std::atomic<bool> deciding{false};  // an accelerator is being tried: what it does is not yet the guest's doing
    std::atomic<bool> internal_error{false};
  };
  // What one run of QEMU needs and every attempt of that run shares.
  struct Run {
    RunFacts facts;
    std::vector<bulkhead_handle> locks;
    std::string qemu_log;
    std::uint64_t log_start = 0;  // where in the log the present attempt began
  };
  enum class Outcome { running, ended_by_guest, accelerator_failed };

  std::vector<Problem> problems_now() const;
  bool leader_exited() const;
  std::string subject(const char* verb) const;  // "start 'dev1': "
  // Until the operation is over or the leader has exited, and not longer than `limit`.
  Patience patience(const Op& op, std::chrono::milliseconds limit) const;

  Run prepare(const Op& op);
  Outcome attempt(const Op& op, Run& run, const Attempt& attempt, std::string& why);
  void launch(const Op& op, Run& run);
  Outcome await_running(const Op& op, const Run& run, std::string& why);
  Outcome watch(const Op& op, const Run& run, std::string& why);
  Outcome judge_exit(const Run& run, std::string& why);
  void end_failed_attempt(const Op& op);
  void remember(const Attempt& attempt, Outcome outcome, const std::optional<Verdict>& before);
  void report_start(const Op& op, const Run& run, const Attempt& attempt);

  void open_session(const std::string& path);
  bool attach(const Op& op, std::chrono::milliseconds limit_each);
  std::optional<std::string> run_state(const Op& op, std::chrono::milliseconds limit);
  std::string reach(const Op& op);
  Listeners listeners() const;
  VerdictKey verdict_key() const;

  Config config_;
  std::vector<Problem> problems_;
  Child leader_;
  bool unsure_ = false;  // recover found something, and it is not provably this VM
  SavedState state_;
  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
  std::shared_ptr<const VerdictStore> verdicts_;
  std::unique_ptr<QmpSession> session_;  // last: its thread uses what is above
};

}  // namespace bulkhead::qemu
