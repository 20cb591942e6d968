#include "driver/instance.hpp"

#include <cstring>
#include <limits>
#include <utility>

#include "driver/status.hpp"

namespace bulkhead::driver {

const char* name(Operation operation) {
  switch (operation) {
    case Operation::probe: return "probe";
    case Operation::open: return "open";
    case Operation::validate: return "validate";
    case Operation::create: return "create";
    case Operation::start: return "start";
    case Operation::stop: return "stop";
    case Operation::force_stop: return "force_stop";
    case Operation::inspect: return "inspect";
    case Operation::recover: return "recover";
    case Operation::cleanup: return "cleanup";
    case Operation::remove: return "remove";
  }
  return "";
}

milliseconds OperationControl::remaining() const {
  return cancelled_ ? milliseconds{0} : bulkhead::remaining(deadline_, Clock::now());
}

namespace {

std::string text_of(const char* text) { return text != nullptr ? text : ""; }

// What a driver says is never trusted to be JSON, nor to be small.
constexpr std::size_t most_json = 256U << 10;

Json object_of(const char* text) {
  if (text == nullptr || std::strlen(text) > most_json) return Json::object();
  auto json = parse_json(text, "driver");
  return json && json->is_object() ? *std::move(json) : Json::object();
}

LogLevel level_of(std::int32_t level) {
  if (level <= BULKHEAD_LOG_DEBUG) return LogLevel::debug;
  if (level >= BULKHEAD_LOG_ERROR) return LogLevel::error;
  return level == BULKHEAD_LOG_WARNING ? LogLevel::warning : LogLevel::info;
}

// Runs host code under the C edge: nothing thrown crosses.
template <class F>
bulkhead_status at_edge(F&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return BULKHEAD_INTERNAL;
  }
}

}  // namespace

// The functions of bulkhead_host. `ctx` is the Instance.
struct Instance::Table {
  static Instance& of(const bulkhead_host* host) { return *static_cast<Instance*>(host->ctx); }

  // Keeps a host call's own error as the operation's, and returns its status.
  static bulkhead_status keep(Instance& self, Error error) {
    const bulkhead_status status = status_of(error.code);
    const std::lock_guard lock(self.mutex_);
    self.error_ = std::move(error);
    return status;
  }

  static const void* BULKHEAD_CALL get_extension(const bulkhead_host*, const char*) noexcept { return nullptr; }

  static void BULKHEAD_CALL log(const bulkhead_host* host, std::int32_t level, const char* message,
                                const char* fields) noexcept {
    at_edge([&] {
      if (level_of(level) < of(host).level_) return BULKHEAD_OK;
      std::string text = text_of(message);
      if (fields != nullptr) text += " " + std::string(fields);
      of(host).services_.log(level_of(level), text);
      return BULKHEAD_OK;
    });
  }

  static void BULKHEAD_CALL emit(const bulkhead_host* host, const char* event, const char* json) noexcept {
    at_edge([&] {
      of(host).services_.emit(text_of(event), object_of(json));
      return BULKHEAD_OK;
    });
  }

  static std::uint32_t BULKHEAD_CALL op_remaining_ms(const bulkhead_host* host, const bulkhead_op*) noexcept {
    Instance& self = of(host);
    const std::lock_guard lock(self.mutex_);
    if (!self.control_) return 0;
    const auto left = self.control_->remaining().count();
    return static_cast<std::uint32_t>(std::min<std::int64_t>(left, std::numeric_limits<std::int32_t>::max()));
  }

  static void BULKHEAD_CALL op_progress(const bulkhead_host* host, const bulkhead_op*, std::uint32_t permille,
                                        const char* phase) noexcept {
    at_edge([&] {
      of(host).services_.progress(permille, text_of(phase));
      return BULKHEAD_OK;
    });
  }

  static void BULKHEAD_CALL op_reply(const bulkhead_host* host, const bulkhead_op* op, const char* json) noexcept {
    at_edge([&] {
      Instance& self = of(host);
      const std::lock_guard lock(self.mutex_);
      if (op != nullptr && op->id == self.operation_id_) self.reply_ = object_of(json);
      return BULKHEAD_OK;
    });
  }

  static bulkhead_status BULKHEAD_CALL op_fail(const bulkhead_host* host, const bulkhead_op* op, bulkhead_status status,
                                               const char* message, const char* detail) noexcept {
    at_edge([&] {
      const Json json = object_of(detail);
      Error error{.code = code_of(status), .what = text_of(message), .hint = string_or(json, "hint")};
      if (json.contains("pointer")) {
        error.problems.push_back({string_or(json, "pointer"), error.what, error.hint});
      }
      Instance& self = of(host);
      const std::lock_guard lock(self.mutex_);
      if (op != nullptr && op->id == self.operation_id_) self.error_ = std::move(error);
      return BULKHEAD_OK;
    });
    return status;
  }

  static bulkhead_status BULKHEAD_CALL spawn(const bulkhead_host* host, const bulkhead_op*, const char* spec,
                                             bulkhead_child* child) noexcept {
    return at_edge([&] {
      auto spawned = of(host).services_.spawn(object_of(spec));
      if (!spawned) return keep(of(host), spawned.error());
      *child = *spawned;
      return bulkhead_status{BULKHEAD_OK};
    });
  }

  static bulkhead_status BULKHEAD_CALL child_wait(const bulkhead_host* host, bulkhead_child child, std::uint32_t ms,
                                                  bulkhead_exit* exit) noexcept {
    return at_edge([&] {
      const auto waited = of(host).services_.child_wait(child, milliseconds{ms});
      if (!waited) return status_of(waited.error().code);
      if (exit != nullptr && exit->size >= sizeof(bulkhead_exit)) {
        exit->code = waited->code;
        exit->signal = waited->signal;
      }
      return bulkhead_status{BULKHEAD_OK};
    });
  }

  static bulkhead_status BULKHEAD_CALL child_signal(const bulkhead_host* host, bulkhead_child child,
                                                    std::int32_t signal) noexcept {
    return at_edge([&] {
      const auto sent = of(host).services_.child_signal(child, signal);
      return sent ? bulkhead_status{BULKHEAD_OK} : status_of(sent.error().code);
    });
  }

  static bulkhead_status BULKHEAD_CALL artifact(const bulkhead_host* host, const bulkhead_op*, const char* kind,
                                                const char* name, const char* opts, char* path,
                                                std::size_t capacity) noexcept {
    return at_edge([&] {
      const Kept kept = on(flag_or(object_of(opts), "persistent", Flag::off)) ? Kept::with_vm : Kept::while_running;
      auto made = of(host).services_.artifact(text_of(kind), text_of(name), kept);
      if (!made) return keep(of(host), made.error());
      if (made->size() >= capacity) {
        return keep(of(host),
                    {.code = Code::invalid, .what = "artifact '" + *made + "': longer than the driver's buffer"});
      }
      std::memcpy(path, made->c_str(), made->size() + 1);
      return bulkhead_status{BULKHEAD_OK};
    });
  }

  static bulkhead_status BULKHEAD_CALL lock(const bulkhead_host* host, const bulkhead_op*, const char* path,
                                            const char* opts, bulkhead_handle* handle) noexcept {
    return at_edge([&] {
      const auto sharing =
          on(flag_or(object_of(opts), "shared", Flag::off)) ? Services::Sharing::shared : Services::Sharing::exclusive;
      auto locked = of(host).services_.lock(text_of(path), sharing);
      if (!locked) return keep(of(host), locked.error());
      *handle = *locked;
      return bulkhead_status{BULKHEAD_OK};
    });
  }

  static bulkhead_status BULKHEAD_CALL save_state(const bulkhead_host* host, const bulkhead_op*,
                                                  const char* json) noexcept {
    return at_edge([&] {
      auto saved = of(host).services_.save_state(object_of(json));
      return saved ? bulkhead_status{BULKHEAD_OK} : keep(of(host), saved.error());
    });
  }
};

Instance::Instance(const bulkhead_entry& entry, Identification identification, Services& services, LogLevel level)
    : entry_(entry), identification_(std::move(identification)), services_(services), level_(level) {
  table_ = std::make_unique<bulkhead_host>(bulkhead_host{
      .size = sizeof(bulkhead_host),
      .abi_major = BULKHEAD_ABI_MAJOR,
      .abi_minor = BULKHEAD_ABI_MINOR,
      .reserved = 0,
      .ctx = this,
      .version = BULKHEAD_VERSION,
      .vm_id = identification_.vm_id.c_str(),
      .run_id = identification_.run_id.c_str(),
      .vm_dir = identification_.vm_directory.c_str(),
      .get_extension = Table::get_extension,
      .log = Table::log,
      .emit = Table::emit,
      .op_remaining_ms = Table::op_remaining_ms,
      .op_progress = Table::op_progress,
      .op_reply = Table::op_reply,
      .op_fail = Table::op_fail,
      .spawn = Table::spawn,
      .child_wait = Table::child_wait,
      .child_signal = Table::child_signal,
      .artifact = Table::artifact,
      .lock = Table::lock,
      .save_state = Table::save_state,
  });
}

Instance::~Instance() {
  if (driver_ != nullptr) driver_->close(driver_);
}

bulkhead_status Instance::dispatch(Operation operation, const bulkhead_op& op) {
  if (operation == Operation::probe) return entry_.probe(table_.get(), &op);
  if (operation == Operation::open) {
    return driver_ != nullptr ? bulkhead_status{BULKHEAD_OK} : entry_.open(table_.get(), &op, &driver_);
  }
  if (driver_ == nullptr) return BULKHEAD_INVALID;
  switch (operation) {
    case Operation::validate: return driver_->validate(driver_, &op);
    case Operation::create: return driver_->create(driver_, &op);
    case Operation::start: return driver_->start(driver_, &op);
    case Operation::stop: return driver_->stop(driver_, &op);
    case Operation::force_stop: return driver_->force_stop(driver_, &op);
    case Operation::inspect: return driver_->inspect(driver_, &op);
    case Operation::recover: return driver_->recover(driver_, &op);
    case Operation::cleanup: return driver_->cleanup(driver_, &op);
    case Operation::remove: return driver_->remove(driver_, &op);
    case Operation::probe:
    case Operation::open: break;
  }
  return BULKHEAD_INTERNAL;
}

Result<Json> Instance::call(Operation operation, const Json& arguments, std::shared_ptr<OperationControl> control) {
  const std::string text = dump(arguments);
  bulkhead_op op{.size = sizeof(bulkhead_op), .reserved = 0, .id = 0, .args = text.c_str()};
  {
    const std::lock_guard lock(mutex_);
    op.id = ++operation_id_;
    control_ = std::move(control);
    reply_.reset();
    error_.reset();
  }
  const bulkhead_status status = dispatch(operation, op);
  const std::lock_guard lock(mutex_);
  control_.reset();
  if (status == BULKHEAD_OK) return reply_.value_or(Json::object());
  Error error = error_.value_or(Error{.what = "the driver gave no reason"});
  // Several codes of ours are one status: the host's own error keeps its own.
  if (status_of(error.code) != status) error.code = code_of(status);
  if (error.what.empty()) error.what = "the driver gave no reason";
  return std::unexpected(std::move(error));
}

}  // namespace bulkhead::driver
