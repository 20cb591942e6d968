// bulkhead/driver.hpp: the C++20 face of driver.h. Header-only, standard library only.
//
// Derive from bulkhead::Driver, declare a bulkhead_descriptor, and end one source file with
//   BULKHEAD_DRIVER(MyDriver, my_descriptor)
// A Status thrown by an operation becomes its status, message and detail; any other exception becomes INTERNAL. Nothing
// thrown crosses the boundary.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bulkhead/driver.h"
#include "bulkhead/kill_semantics.hpp"

namespace bulkhead {

// Thrown by a driver to end an operation with a status.
class Status : public std::exception {
 public:
  Status(bulkhead_status code, std::string message, std::string detail_json = {})
      : code_(code), message_(std::move(message)), detail_(std::move(detail_json)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  bulkhead_status code() const noexcept { return code_; }
  const std::string& detail() const noexcept { return detail_; }

 private:
  bulkhead_status code_;
  std::string message_;
  std::string detail_;
};

// The operation that is being performed. Valid for the call.
class Op {
 public:
  Op(const bulkhead_host* host, const bulkhead_op* op) noexcept : host_(host), op_(op) {}
  std::string_view args() const { return op_->args != nullptr ? op_->args : "{}"; }
  // Zero: give up now.
  std::chrono::milliseconds remaining() const { return std::chrono::milliseconds{host_->op_remaining_ms(host_, op_)}; }
  void progress(unsigned permille, const std::string& phase) const {
    host_->op_progress(host_, op_, permille, phase.c_str());
  }
  void reply(const std::string& json) const { host_->op_reply(host_, op_, json.c_str()); }
  bulkhead_status fail(bulkhead_status code, const char* message, const char* detail = nullptr) const noexcept {
    return host_->op_fail(host_, op_, code, message, detail);
  }
  const bulkhead_op* raw() const noexcept { return op_; }

 private:
  const bulkhead_host* host_;
  const bulkhead_op* op_;
};

// A process started by Host::spawn.
class Child {
 public:
  Child() = default;
  Child(const bulkhead_host* host, bulkhead_child id) noexcept : host_(host), id_(id) {}
  explicit operator bool() const noexcept { return id_ != 0; }
  bulkhead_child id() const noexcept { return id_; }
  // Its exit, or nothing while it runs. Any thread.
  std::optional<bulkhead_exit> wait(std::chrono::milliseconds limit) const {
    bulkhead_exit exit{};
    exit.size = sizeof exit;
    const bulkhead_status s = host_->child_wait(host_, id_, static_cast<std::uint32_t>(limit.count()), &exit);
    if (s == BULKHEAD_OK) return exit;
    if (s == BULKHEAD_DEADLINE) return std::nullopt;
    throw Status(s, "wait for child: no such child");
  }
  void signal(int number) const {
    const bulkhead_status s = host_->child_signal(host_, id_, number);
    if (s != BULKHEAD_OK && s != BULKHEAD_GONE) throw Status(s, "signal child: refused");
  }

 private:
  const bulkhead_host* host_ = nullptr;
  bulkhead_child id_ = 0;
};

// What the host offers; functions marked [op] in driver.h take the Op.
class Host {
 public:
  explicit Host(const bulkhead_host* host) noexcept : host_(host) {}
  std::string vm_id() const { return host_->vm_id; }
  std::string run_id() const { return host_->run_id; }
  std::string vm_dir() const { return host_->vm_dir; }
  void log(std::int32_t level, const std::string& message, const char* fields = nullptr) const {
    host_->log(host_, level, message.c_str(), fields);
  }
  void emit(const char* event, const std::string& json = "{}") const { host_->emit(host_, event, json.c_str()); }
  // The host has already recorded why: the driver adds nothing and passes the failure on.
  Child spawn(const Op& op, const std::string& spec_json) const {
    bulkhead_child id = 0;
    check(host_->spawn(host_, op.raw(), spec_json.c_str(), &id));
    return Child{host_, id};
  }
  Child child(bulkhead_child id) const { return Child{host_, id}; }
  std::string artifact(const Op& op, const char* kind, const char* name, const char* opts = nullptr) const {
    char path[4096];
    check(host_->artifact(host_, op.raw(), kind, name, opts, path, sizeof path));
    return path;
  }
  bulkhead_handle lock(const Op& op, const std::string& path, const char* opts = nullptr) const {
    bulkhead_handle handle = -1;
    check(host_->lock(host_, op.raw(), path.c_str(), opts, &handle));
    return handle;
  }
  void save_state(const Op& op, const std::string& json) const {
    check(host_->save_state(host_, op.raw(), json.c_str()));
  }
  const bulkhead_host* raw() const noexcept { return host_; }

 private:
  static void check(bulkhead_status s) {
    if (s != BULKHEAD_OK) throw Status(s, "");  // an empty message keeps the one the host recorded
  }
  const bulkhead_host* host_;
};

// One VM. open() constructs it: `op.args()` is the VM's spec; allocate only. A derived class also has
//   static void probe(Host, const Op&);
class Driver {
 public:
  explicit Driver(Host host) : host_(host) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;
  virtual void validate(const Op& op) { op.reply(R"({"problems":[]})"); }
  virtual void create(const Op&) {}
  virtual void start(const Op& op) = 0;
  virtual void stop(const Op&) { throw Status(BULKHEAD_UNSUPPORTED, "this driver cannot ask its guest to stop"); }
  virtual void force_stop(const Op&) { throw Status(BULKHEAD_UNSUPPORTED, "the host stops this VM"); }
  virtual void inspect(const Op& op) = 0;
  virtual void recover(const Op&) { throw Status(BULKHEAD_UNSUPPORTED, "this driver cannot recover a running VM"); }
  virtual void cleanup(const Op&) {}
  virtual void remove(const Op&) {}
  virtual const void* extension(std::string_view) { return nullptr; }

 protected:
  const Host& host() const noexcept { return host_; }

 private:
  Host host_;
};

namespace detail {

template <class F>
bulkhead_status guarded(const Op& op, F&& perform) noexcept {
  try {
    perform();
    return BULKHEAD_OK;
  } catch (const Status& s) {
    if (*s.what() == '\0') return s.code();
    return op.fail(s.code(), s.what(), s.detail().empty() ? nullptr : s.detail().c_str());
  } catch (const std::exception& e) {
    return op.fail(BULKHEAD_INTERNAL, e.what());
  } catch (...) {
    return op.fail(BULKHEAD_INTERNAL, "the driver threw something that is not an exception");
  }
}

template <class D>
struct Glue {
  bulkhead_driver table{};
  const bulkhead_host* host = nullptr;
  std::unique_ptr<D> driver;

  static Glue& of(bulkhead_driver* self) { return *static_cast<Glue*>(self->data); }

  template <void (Driver::*Operation)(const Op&)>
  static bulkhead_status BULKHEAD_CALL call(bulkhead_driver* self, const bulkhead_op* raw) noexcept {
    Glue& glue = of(self);
    const Op op{glue.host, raw};
    return guarded(op, [&] { (static_cast<Driver&>(*glue.driver).*Operation)(op); });
  }
  static const void* BULKHEAD_CALL extension(bulkhead_driver* self, const char* id) noexcept {
    try {
      return of(self).driver->extension(id);
    } catch (...) {
      return nullptr;
    }
  }
  static void BULKHEAD_CALL close(bulkhead_driver* self) noexcept { delete static_cast<Glue*>(self->data); }

  static bulkhead_status BULKHEAD_CALL open(const bulkhead_host* host, const bulkhead_op* raw,
                                            bulkhead_driver** out) noexcept {
    const Op op{host, raw};
    return guarded(op, [&] {
      auto glue = std::make_unique<Glue>();
      glue->host = host;
      glue->driver = std::make_unique<D>(Host{host}, op);
      glue->table = bulkhead_driver{sizeof(bulkhead_driver),
                                    0,
                                    glue.get(),
                                    call<&Driver::validate>,
                                    call<&Driver::create>,
                                    call<&Driver::start>,
                                    call<&Driver::stop>,
                                    call<&Driver::force_stop>,
                                    call<&Driver::inspect>,
                                    call<&Driver::recover>,
                                    call<&Driver::cleanup>,
                                    call<&Driver::remove>,
                                    extension,
                                    close};
      *out = &glue.release()->table;
    });
  }
  static bulkhead_status BULKHEAD_CALL probe(const bulkhead_host* host, const bulkhead_op* raw) noexcept {
    const Op op{host, raw};
    return guarded(op, [&] { D::probe(Host{host}, op); });
  }
};

}  // namespace detail
}  // namespace bulkhead

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): it defines the exported symbol
#define BULKHEAD_DRIVER(Class, descriptor)                                               \
  static_assert(::bulkhead::consistent(*(descriptor).kill));                             \
  extern "C" BULKHEAD_EXPORT constinit const bulkhead_entry bulkhead_driver_v1 = {       \
      sizeof(bulkhead_entry), 0, &(descriptor), &::bulkhead::detail::Glue<Class>::probe, \
      &::bulkhead::detail::Glue<Class>::open}
