#include "qemu/machine.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "qemu/events.hpp"
#include "qemu/files.posix.hpp"
#include "qemu/json_text.hpp"
#include "qemu/platform.hpp"

namespace bulkhead::qemu {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr auto wait_slice = 50ms;
constexpr auto second_press_after = 3s;

std::string seconds_text(Clock::duration duration) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return std::to_string(tenths / 10) + (tenths % 10 != 0 ? "." + std::to_string(tenths % 10) : "") + " s";
}

bool needs_resume(const std::string& run_state) {
  return run_state == "paused" || run_state == "io-error" || run_state == "watchdog" || run_state == "prelaunch";
}

bool cannot_react(const std::string& run_state) {
  return run_state == "internal-error" || run_state == "guest-panicked" || run_state == "shutdown";
}

}  // namespace

Machine::Machine(Host host, const Op& op) : Driver(host) {
  ParsedConfig parsed = parse_config(op.args());
  config_ = std::move(parsed.config);
  problems_ = std::move(parsed.problems);
}

void Machine::probe(Host, const Op& op) {
  const auto program = find_program(Config{}.binary);
  const KvmTrial kvm = try_kvm();
  json attributes{{"kvm", kvm.usable}, {"tcg", true}};
  if (!kvm.usable) attributes["kvm_reason"] = kvm.reason;
  if (program) attributes["binary"] = *program;
  json reply{{"health", program ? "healthy" : "undetected"}, {"attributes", attributes}};
  if (!program) reply["hint"] = "install qemu-system-x86";
  op.reply(json_text(reply));
}

std::vector<Problem> Machine::problems_now() const {
  std::vector<Problem> problems = problems_;
  if (!problems.empty()) return problems;
  for (const NamedFile& file : files_of(config_)) {
    if (const auto why = access_problem(file.path, file.access))
      problems.push_back({file.pointer, "open '" + file.path + "': " + *why, "check the path and its permissions"});
  }
  if (!find_program(config_.binary))
    problems.push_back(
        {"/options/binary", "find '" + config_.binary + "': no such program", "install qemu-system-x86"});
  return problems;
}

void Machine::validate(const Op& op) {
  json list = json::array();
  for (const Problem& p : problems_now()) {
    json item{{"pointer", p.pointer}, {"reason", p.reason}};
    if (!p.hint.empty()) item["hint"] = p.hint;
    list.push_back(std::move(item));
  }
  op.reply(json_text({{"problems", list}}));
}

bool Machine::leader_exited() const { return leader_ && leader_.wait(0ms).has_value(); }

std::string Machine::subject(const char* verb) const { return std::string(verb) + " '" + host().vm_id() + "': "; }

Patience Machine::patience(const Op& op, std::chrono::milliseconds limit) const {
  return {Clock::now() + std::min(limit, op.remaining()),
          [this, op] { return op.remaining() == 0ms || leader_exited(); }};
}

void Machine::stop(const Op& op) {
  if (!leader_ || leader_exited()) return;
  const std::string state = reach(op);
  if (leader_exited()) return;
  if (state.empty())
    throw Status(BULKHEAD_UNAVAILABLE, subject("stop") + "QEMU does not answer on its control sockets");
  if (cannot_react(state))
    throw Status(BULKHEAD_UNAVAILABLE, subject("stop") + "the guest cannot react, its run state is " + state);
  if (needs_resume(state)) session_->execute("cont", patience(op, 1s));
  if (state == "suspended") session_->execute("system_wakeup", patience(op, 1s));

  const auto asked = Clock::now();
  const auto press = [&] { return session_->execute("system_powerdown", patience(op, 2s)); };
  const Answer first = press();
  if (!first.ok() && !leader_exited() && op.remaining() > 0ms)
    throw Status(BULKHEAD_UNAVAILABLE, subject("stop") + "QEMU did not press the power button" +
                                           (first.text.empty() ? "" : ": " + first.text));
  bool pressed_again = false;
  while (!leader_.wait(std::min<std::chrono::milliseconds>(wait_slice, op.remaining()))) {
    if (op.remaining() == 0ms)
      throw Status(BULKHEAD_DEADLINE, subject("stop") + "the guest did not react to the power button within " +
                                          seconds_text(Clock::now() - asked));
    if (!pressed_again && Clock::now() - asked >= second_press_after) {
      pressed_again = true;  // some guests only wake up at the first press
      press();
    }
  }
  session_->drain({Clock::now() + 500ms, {}});
}

void Machine::inspect(const Op& op) {
  if (!leader_ && unsure_) return op.reply(R"({"state":"unknown","evidence":{"leader":"not provably ours"}})");
  if (!leader_) return op.reply(R"({"state":"stopped","evidence":{"leader":"none"}})");
  if (const auto exit = leader_.wait(0ms)) {
    const json evidence{{"leader", "exited"}, {"code", exit->code}, {"signal", exit->signal}};
    return op.reply(json_text({{"state", "stopped"}, {"evidence", evidence}}));
  }
  const auto state = run_state(op, 300ms);
  json evidence{{"leader", "running"}, {"qmp", state.value_or("silent")}};
  if (!state_.accelerator.empty()) evidence["accelerator"] = state_.accelerator;
  op.reply(json_text({{"state", "running"}, {"evidence", evidence}}));
}

void Machine::recover(const Op& op) {
  session_.reset();
  leader_ = {};
  unsure_ = false;
  const json args = json::parse(op.args(), nullptr, /*allow_exceptions=*/false);
  const json leader = args.is_object() ? args.value("leader", json()) : json();
  if (!leader.is_number_unsigned() || leader == 0) throw Status(BULKHEAD_GONE, subject("recover") + "QEMU is gone");
  unsure_ = true;
  const json saved = args.value("state", json());
  if (saved.is_object() && saved.value("version", json()) != SavedState::version)
    throw Status(BULKHEAD_STATE_VERSION, subject("recover") + "the saved state is of another version");
  const auto state = read_state(saved);
  if (!state) throw Status(BULKHEAD_UNKNOWN, subject("recover") + "the saved state does not say how to reach QEMU");

  leader_ = host().child(leader.get<bulkhead_child>());
  if (leader_exited()) throw Status(BULKHEAD_GONE, subject("recover") + "QEMU has exited");
  unsure_ = false;
  state_ = *state;
  verdicts_ = std::make_shared<VerdictStore>(VerdictStore::path_in(host().vm_dir()), verdict_key());
  // The leader is kept when QEMU is silent: it is this VM's by the host's word, and may be frozen only for now.
  const std::string reached = reach(op);
  if (leader_exited()) throw Status(BULKHEAD_GONE, subject("recover") + "QEMU has exited");
  if (reached.empty())
    throw Status(BULKHEAD_UNAVAILABLE, subject("recover") + "QEMU does not answer on its control sockets");
  const Answer name = session_->execute("query-name", patience(op, 1s));
  if (name.ok() && name.value.is_object() && name.value.value("name", json()) == state_.guest_name) return;
  session_.reset();
  if (!name.ok()) throw Status(BULKHEAD_UNAVAILABLE, subject("recover") + "QEMU does not tell its name");
  leader_ = {};
  unsure_ = true;
  throw Status(BULKHEAD_FOREIGN, subject("recover") + "'" + state_.qmp + "' answers for another VM");
}

void Machine::cleanup(const Op&) { session_.reset(); }

void Machine::remove(const Op&) {
  session_.reset();
  remove_file(VerdictStore::path_in(host().vm_dir()));
}

void Machine::open_session(const std::string& path) {
  session_.reset();
  session_ = std::make_unique<QmpSession>(path, listeners());
}

// A session that is open but silent keeps QEMU from greeting another one on the same socket; so it goes first.
bool Machine::attach(const Op& op, std::chrono::milliseconds limit_each) {
  for (const std::string& path : {state_.qmp, state_.qmp_emergency}) {
    if (path.empty() || op.remaining() == 0ms || leader_exited()) break;
    try {
      open_session(path);
      if (session_->greet(patience(op, limit_each)).ok()) return true;
      // NOLINTNEXTLINE(bugprone-empty-catch): nothing listens there; the other socket may do
    } catch (const Status&) {
    }
    session_.reset();
  }
  return false;
}

std::optional<std::string> Machine::run_state(const Op& op, std::chrono::milliseconds limit) {
  if (!session_ || session_->closed()) {
    if (!attach(op, limit / 3)) return std::nullopt;
    limit /= 3;
  } else if (!session_->negotiated() && !session_->greet(patience(op, limit)).ok()) {
    return std::nullopt;
  }
  const Answer answer = session_->execute("query-status", patience(op, limit));
  return answer.ok() ? qmp::run_state_in(answer.value) : std::nullopt;
}

// The run state, from whichever control socket answers; empty when none does.
std::string Machine::reach(const Op& op) {
  if (const auto state = run_state(op, 1s)) return *state;
  if (!attach(op, 1s)) return {};
  return run_state(op, 1s).value_or("");
}

Listeners Machine::listeners() const {
  const Host host = this->host();
  const bool automatic = config_.accelerator == AcceleratorChoice::automatic && state_.accelerator == "kvm";
  const auto on_event = [host, seen = seen_](const qmp::Event& event) {
    if (seen->deciding && (event.name == "STOP" || event.name == "RESUME")) return;
    if (const auto out = vm_event(event)) host.emit(out->name.c_str(), json_text(out->data));
  };
  const auto on_run_state = [host, automatic, seen = seen_, verdicts = verdicts_](const std::string& state) {
    if (state == "internal-error") {
      seen->internal_error = true;
      if (seen->deciding) return;
      if (automatic && verdicts)
        verdicts->remember({Accelerator::tcg, "max", "KVM failed with an internal error earlier"});
    }
    if (const auto out = run_state_warning(state)) host.emit(out->name.c_str(), json_text(out->data));
  };
  return {on_event, on_run_state};
}

VerdictKey Machine::verdict_key() const {
  VerdictKey key{boot_id(), config_.cpu_model, {}};
  const std::string binary = find_program(config_.binary).value_or(config_.binary);
  key.files.push_back({binary, modified_ns(binary)});
  // Disks change all the time and say nothing about the accelerator; their paths do.
  for (const NamedFile& file : files_of(config_))
    key.files.push_back({file.path, file.pointer.starts_with("/boot") ? modified_ns(file.path) : 0});
  return key;
}

}  // namespace bulkhead::qemu
