#include "qemu/verdict.hpp"

#include <nlohmann/json.hpp>

#include "qemu/json_text.hpp"

namespace bulkhead::qemu {
namespace {

using nlohmann::json;

constexpr int version = 1;

json key_json(const VerdictKey& key) {
  json files = json::array();
  for (const FileStamp& file : key.files) files.push_back({{"path", file.path}, {"modified_ns", file.modified_ns}});
  return {{"boot_id", key.boot_id}, {"cpu_model", key.cpu_model}, {"files", files}};
}

}  // namespace

std::string verdict_text(const VerdictKey& key, const Verdict& verdict) {
  return json_text({{"version", version},
                    {"key", key_json(key)},
                    {"accelerator", name_of(verdict.accelerator)},
                    {"cpu_model", verdict.cpu_model},
                    {"reason", verdict.reason}});
}

std::optional<Verdict> read_verdict(std::string_view text, const VerdictKey& key) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || root.value("key", json()) != key_json(key)) return std::nullopt;
  const auto has_text = [&](const char* name) { return root.contains(name) && root[name].is_string(); };
  if (root.value("version", json()) != version) return std::nullopt;
  if (!has_text("accelerator") || !has_text("cpu_model") || !has_text("reason")) return std::nullopt;
  const std::string name = root["accelerator"];
  if (name != "kvm" && name != "tcg") return std::nullopt;
  return Verdict{name == "kvm" ? Accelerator::kvm : Accelerator::tcg, root["cpu_model"], root["reason"]};
}

}  // namespace bulkhead::qemu
