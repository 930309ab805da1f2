// Profile -> Plan: the product of the axes, and each cell's canonical semantics and key.
#include "profiles/schema/plan.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/base/hash.h"
#include "profiles/schema/json_values.h"
#include "profiles/schema/settings.h"

namespace ds4::profiles {
namespace {

constexpr size_t kKeyDigits = 16;  // 64 bits: no collision among any number of cells ever measured

// What decides what is measured, and nothing else. nlohmann::json sorts object keys and prints
// numbers in one way only, so equal meanings give equal bytes.
std::string canonical_semantics(const Profile& profile) {
  nlohmann::json engine;
  engine["device"] = profile.engine.device;
  engine["kv_dtype"] = profile.engine.kv_dtype;
  engine["index_dtype"] = profile.engine.index_dtype;
  engine["context_length"] = profile.engine.context_length;
  engine["prefill_chunk"] = profile.engine.prefill_chunk;
  // Left out at its default, so that keys of cells from before it existed still hold.
  if (profile.engine.draft_tokens) engine["draft_tokens"] = profile.engine.draft_tokens;
  if (profile.engine.sequences != 1) engine["sequences"] = profile.engine.sequences;
  if (profile.engine.residency != "device") engine["residency"] = profile.engine.residency;
  engine["threads"] = profile.engine.threads;
  engine["seed"] = profile.engine.seed;
  // An object by name: the order of suites in the file does not change what is measured.
  nlohmann::json suites = nlohmann::json::object();
  for (const SuiteSection& suite : profile.suites) {
    nlohmann::json parameters = nlohmann::json::object();
    for (const auto& [name, value] : suite.parameters) parameters[name] = plain_json(value);
    suites[suite.name] = {{"version", suite.version}, {"parameters", parameters}};
  }
  nlohmann::json semantics = {{"target", profile.target}, {"engine", engine}, {"suites", suites}};
  // Left out for greedy decoding, so that cells keep the keys they had before it could be chosen.
  if (profile.sampling != suites::Sampling{}) {
    semantics["sampling"] = sampling_json(profile.sampling);
  }
  if (!profile.checkpoint.empty()) semantics["checkpoint"] = checkpoint_name(profile);
  if (!profile.script.empty()) {
    semantics["script"] = std::filesystem::path(profile.script).filename().string();
  }
  return semantics.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// "kv_dtype=bf16": the key without its section, since one value per axis is shown; a checkpoint by
// its name. `profile` has the value applied.
std::string label_part(const Axis& axis, const std::string& value, const Profile& profile) {
  if (axis.key == "checkpoint") return "checkpoint=" + checkpoint_name(profile);
  std::string text = value;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  std::string key = axis.key;
  for (const std::string_view section : {"engine.", "sampling."}) {
    if (key.starts_with(section)) key.erase(0, section.size());
  }
  return key + "=" + text;
}

Cell make_cell(const Profile& profile, const std::vector<size_t>& choice) {
  Cell cell;
  cell.profile = profile;
  const TomlSource source{profile.path.string()};
  for (size_t i = 0; i < profile.axes.size(); ++i) {
    const Axis& axis = profile.axes[i];
    const std::string& value = axis.values[choice[i]];
    const toml::table parsed = parse_value(value);
    apply_setting(cell.profile, axis.key, *parsed.get("v"), source);
    cell.label += (i > 0 ? " " : "") + label_part(axis, value, cell.profile);
  }
  if (cell.label.empty()) cell.label = "default";
  cell.profile.axes.clear();
  cell.semantics = canonical_semantics(cell.profile);
  cell.key = sha256_hex(cell.semantics).substr(0, kKeyDigits);
  return cell;
}

}  // namespace

Plan make_plan(const Profile& profile) {
  Plan plan{profile, {}};
  std::vector<size_t> choice(profile.axes.size(), 0);
  while (true) {
    plan.cells.push_back(make_cell(profile, choice));
    // Counts up like an odometer: the last axis varies fastest.
    size_t i = choice.size();
    while (i > 0 && ++choice[i - 1] == profile.axes[i - 1].values.size()) choice[--i] = 0;
    if (i == 0) return plan;
  }
}

}  // namespace ds4::profiles
