#include "qemu/qmp.hpp"

#include <utility>

#include "qemu/json_text.hpp"

namespace bulkhead::qemu::qmp {
namespace {

using nlohmann::json;

std::string text_at(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

json object_at(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_object() ? *it : json::object();
}

std::string version_of(const json& greeting) {
  const json numbers = object_at(object_at(greeting, "version"), "qemu");
  std::string out;
  for (const char* part : {"major", "minor", "micro"}) {
    const auto it = numbers.find(part);
    if (it == numbers.end() || !it->is_number_unsigned()) return {};
    out += (out.empty() ? "" : ".") + std::to_string(it->get<std::uint64_t>());
  }
  return out;
}

std::optional<Message> message_of(const json& line) {
  if (line.contains("QMP")) return Greeting{version_of(object_at(line, "QMP"))};
  if (line.contains("event")) return Event{text_at(line, "event"), object_at(line, "data")};
  const auto id = line.find("id");
  if (id == line.end() || !id->is_number_unsigned()) return std::nullopt;
  if (line.contains("return")) return Return{id->get<std::uint64_t>(), line["return"]};
  if (!line.contains("error")) return std::nullopt;
  const json error = object_at(line, "error");
  return Failure{id->get<std::uint64_t>(), text_at(error, "class"), text_at(error, "desc")};
}

}  // namespace

std::vector<Message> Decoder::feed(std::string_view bytes) {
  std::vector<Message> out;
  while (!bytes.empty() && !broken()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > limit_) {
      why_ = "a message is larger than " + std::to_string(limit_) + " bytes";
      break;
    }
    partial_ += piece;
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(partial_, {});
    take_line(line, out);
  }
  if (broken()) partial_ = {};
  return out;
}

void Decoder::take_line(std::string_view line, std::vector<Message>& out) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const json value = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) {
    why_ = "a message is not a JSON object";
    return;
  }
  if (auto message = message_of(value)) out.push_back(std::move(*message));
}

std::optional<std::string> run_state_in(const json& reply) {
  if (!reply.is_object()) return std::nullopt;
  std::string state = text_at(reply, "status");
  return state.empty() ? std::nullopt : std::optional(std::move(state));
}

std::string encode(std::uint64_t id, std::string_view command, const json& arguments) {
  json line{{"execute", command}, {"id", id}};
  if (!arguments.is_null()) line["arguments"] = arguments;
  return json_text(line) + "\r\n";
}

}  // namespace bulkhead::qemu::qmp
