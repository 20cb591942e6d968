// QMP as bytes: decoding what QEMU says, encoding what it is told. Pure; the peer is not trusted.
// https://www.qemu.org/docs/master/interop/qmp-spec.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bulkhead::qemu::qmp {

struct Greeting {
  std::string version;  // "7.2.22"; empty when it cannot be read
};
struct Return {
  std::uint64_t id;
  nlohmann::json value;
};
struct Failure {
  std::uint64_t id;
  std::string error_class;
  std::string description;
};
struct Event {
  std::string name;
  nlohmann::json data;  // an object, maybe empty
};
using Message = std::variant<Greeting, Return, Failure, Event>;

// Bytes to messages. Messages of an unknown kind, and replies without an id of ours, are skipped. After a line that is
// too long or not JSON the stream is broken for good: resynchronising could pair a reply with the wrong command.
class Decoder {
 public:
  static constexpr std::size_t default_limit = std::size_t{256} * 1024;
  explicit Decoder(std::size_t limit = default_limit) : limit_(limit) {}

  std::vector<Message> feed(std::string_view bytes);
  bool broken() const { return !why_.empty(); }
  const std::string& why_broken() const { return why_; }

 private:
  void take_line(std::string_view line, std::vector<Message>& out);

  std::size_t limit_;
  std::string partial_;
  std::string why_;
};

// One line, with its end. `arguments`: an object, or null for none.
std::string encode(std::uint64_t id, std::string_view command, const nlohmann::json& arguments = nullptr);

// The run state in a reply to query-status: "running", "paused", ...
std::optional<std::string> run_state_in(const nlohmann::json& reply);

}  // namespace bulkhead::qemu::qmp
