#include "profiles/schema/guard_section.h"

#include <nlohmann/json.hpp>

namespace ds4::profiles {
namespace {

using nlohmann::json;

const std::string kPhaseKeys[] = {"load", "capture", "prefill", "decode", "idle", "teardown"};

// Slower, and a fall of 3 GiB/s goes unseen for a gigabyte; faster, and reading is a load itself.
constexpr int64_t kLeastRate = 5, kMostRate = 50;

int64_t floor_bytes(const TomlSource& source, const toml::node& node, const std::string& key) {
  const int64_t bytes = source.bytes(node, key);
  if (bytes <= 0) {
    source.fail(node, "`" + key + "` must be more than 0",
                "guard.enabled = false turns the guard off.");
  }
  return bytes;
}

}  // namespace

GuardSection read_guard(const TomlSource& source, const toml::node& node) {
  const toml::table& table = source.table(node, "guard");
  const std::string valid[] = {"enabled", "floor", "floors", "rate", "reaction", "grace", "target"};
  source.require_known(table, valid);
  GuardSection guard;
  if (const auto* value = table.get("enabled")) {
    guard.enabled = source.boolean(*value, "guard.enabled");
  }
  if (const auto* value = table.get("floor")) {
    guard.floor = floor_bytes(source, *value, "guard.floor");
  }
  if (const auto* value = table.get("floors")) {
    const toml::table& floors = source.table(*value, "guard.floors");
    source.require_known(floors, kPhaseKeys);
    for (const auto& [key, floor] : floors) {
      const std::string phase(key.str());
      guard.floors[phase] = floor_bytes(source, floor, "guard.floors." + phase);
    }
  }
  if (const auto* value = table.get("rate")) {
    guard.rate_hz =
        static_cast<double>(source.integer(*value, "guard.rate", kLeastRate, kMostRate));
  }
  if (const auto* value = table.get("reaction")) {
    guard.reaction_s = source.seconds(*value, "guard.reaction");
  }
  if (const auto* value = table.get("grace")) {
    guard.grace_s = source.seconds(*value, "guard.grace");
  }
  if (const auto* value = table.get("target")) {
    guard.target = source.string(*value, "guard.target");
    if (guard.target != "worker" && !guard.target.starts_with("pid:") &&
        !guard.target.starts_with("container:")) {
      source.fail(*value, "`guard.target` is `" + guard.target + "`",
                  "It is worker, pid:1234 (the leader of a process group) or container:ID.");
    }
  }
  return guard;
}

std::string guard_to_json(const GuardSection& guard) {
  json j = {{"enabled", guard.enabled}, {"floors", guard.floors},
            {"rate_hz", guard.rate_hz}, {"reaction_s", guard.reaction_s},
            {"grace_s", guard.grace_s}, {"target", guard.target}};
  if (guard.floor) j["floor"] = *guard.floor;
  return j.dump();
}

GuardSection guard_from_json(std::string_view text) {
  const json j = json::parse(text);
  GuardSection guard;
  j.at("enabled").get_to(guard.enabled);
  j.at("floors").get_to(guard.floors);
  j.at("rate_hz").get_to(guard.rate_hz);
  j.at("reaction_s").get_to(guard.reaction_s);
  j.at("grace_s").get_to(guard.grace_s);
  j.at("target").get_to(guard.target);
  if (j.contains("floor")) guard.floor = j.at("floor").get<int64_t>();
  return guard;
}

}  // namespace ds4::profiles
