#include "profiles/schema/guard_section.h"

#include <nlohmann/json.hpp>

namespace ds4::profiles {
namespace {

using nlohmann::json;

// Slower, and a fall of 3 GiB/s goes unseen for a gigabyte; faster, and reading is a load itself.
constexpr int64_t kLeastRate = 5, kMostRate = 50;

constexpr size_t kFloorsPrefix = 7;  // of "floors.load" before its phase

int64_t floor_bytes(const TomlSource& source, const toml::node& node, const std::string& key) {
  const int64_t bytes = source.bytes(node, key);
  if (bytes <= 0) {
    source.fail(node, "`" + key + "` must be more than 0",
                "guard.enabled = false turns the guard off.");
  }
  return bytes;
}

std::string valid_target(const TomlSource& source, const toml::node& node) {
  std::string target = source.string(node, "guard.target");
  if (target == "worker" || target.starts_with("pid:") || target.starts_with("container:")) {
    return target;
  }
  source.fail(node, "`guard.target` is `" + target + "`",
              "It is worker, pid:1234 (the leader of a process group) or container:ID.");
}

using GuardKey = Key<GuardSection>;

// `name` = "floors.load".
template <const char* name>
constexpr GuardKey phase_floor() {
  return {name,
          [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
            guard.floors[name + kFloorsPrefix] =
                floor_bytes(source, node, std::string("guard.") + name);
          },
          [](const GuardSection& guard) {
            const auto floor = guard.floors.find(name + kFloorsPrefix);
            return toml_text(floor == guard.floors.end() ? int64_t{0} : floor->second);
          }};
}

constexpr char kLoad[] = "floors.load", kCapture[] = "floors.capture",
               kPrefill[] = "floors.prefill", kDecode[] = "floors.decode", kIdle[] = "floors.idle",
               kTeardown[] = "floors.teardown";

const GuardKey kGuardKeys[] = {
    {"enabled",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.enabled = source.boolean(node, "guard.enabled");
     },
     [](const GuardSection& guard) { return toml_text(guard.enabled); }},
    {"floor",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.floor = floor_bytes(source, node, "guard.floor");
     },
     [](const GuardSection& guard) { return toml_text(guard.floor.value_or(0)); }},
    phase_floor<kLoad>(),
    phase_floor<kCapture>(),
    phase_floor<kPrefill>(),
    phase_floor<kDecode>(),
    phase_floor<kIdle>(),
    phase_floor<kTeardown>(),
    {"rate",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.rate_hz =
           static_cast<double>(source.integer(node, "guard.rate", kLeastRate, kMostRate));
     },
     [](const GuardSection& guard) { return toml_text(static_cast<int64_t>(guard.rate_hz)); }},
    {"reaction",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.reaction_s = source.seconds(node, "guard.reaction");
     },
     [](const GuardSection& guard) { return toml_text(guard.reaction_s); }},
    {"grace",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.grace_s = source.seconds(node, "guard.grace");
     },
     [](const GuardSection& guard) { return toml_text(guard.grace_s); }},
    {"target",
     [](GuardSection& guard, const toml::node& node, const TomlSource& source) {
       guard.target = valid_target(source, node);
     },
     [](const GuardSection& guard) { return toml_text(guard.target); }},
};

}  // namespace

std::span<const GuardKey> guard_table() {
  return kGuardKeys;
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
