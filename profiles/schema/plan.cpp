// Profile -> Plan: the points of the axes, and each cell's canonical semantics and key.
#include "profiles/schema/plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "profiles/schema/conditions.h"
#include "profiles/schema/json_values.h"
#include "profiles/schema/launch_json.h"
#include "profiles/schema/loads.h"
#include "profiles/schema/server_section.h"
#include "profiles/schema/settings.h"

namespace ds4::profiles {
namespace {

constexpr double kMostCells = 10000;
constexpr size_t kKeyDigits = 16;  // 64 bits: no collision among any number of cells ever measured

// What decides what is measured, and nothing else. nlohmann::json sorts object keys and prints
// numbers in one way only, so equal meanings give equal bytes.
std::string canonical_semantics(const Profile& profile, const std::vector<Axis>& axes) {
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
  if (!profile.recording.empty()) {
    semantics["recording"] = std::filesystem::path(profile.recording).filename().string();
  }
  if (const nlohmann::json server = server_semantics(profile.server); !server.empty()) {
    semantics["server"] = server;
  }
  if (profile.target == "managed") semantics["launch"] = launch_semantics(profile.launch);
  for (const Axis& axis : axes) {
    for (const std::string& key : axis.keys) {
      if (names_cells_when_swept(key)) semantics["swept"][key] = setting_text(profile, key);
    }
  }
  return semantics.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// "kv_dtype=bf16": the key without its section, where it says by itself what it is about; a
// checkpoint by its name. `profile` has the value applied.
std::string label_part(const std::string& axis_key, const std::string& value,
                       const Profile& profile) {
  if (axis_key == "checkpoint") return "checkpoint=" + checkpoint_name(profile);
  std::string text = value;
  if (axis_key == "script") text = std::filesystem::path(profile.script).filename().string();
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  std::string key = axis_key;
  for (const std::string_view section : {"engine.", "sampling.", "limits."}) {
    if (key.starts_with(section)) key.erase(0, section.size());
  }
  return key + "=" + text;
}

Cell make_cell(const Profile& profile, const std::vector<int>& choice) {
  Cell cell;
  cell.profile = profile;
  cell.choice = choice;
  const TomlSource source{profile.path.string()};
  for (size_t i = 0; i < profile.axes.size(); ++i) {
    const Axis& axis = profile.axes[i];
    for (size_t k = 0; k < axis.keys.size(); ++k) {
      const std::string& value = axis.values[static_cast<size_t>(choice[i])][k];
      const toml::table parsed = parse_value(value);
      apply_setting(cell.profile, axis.keys[k], *parsed.get("v"), source);
      cell.label += (cell.label.empty() ? "" : " ") + label_part(axis.keys[k], value, cell.profile);
    }
  }
  require_complete(cell.profile);
  resolve_loads(cell.profile);
  if (cell.label.empty()) cell.label = "default";
  cell.profile.axes.clear();
  cell.semantics = canonical_semantics(cell.profile, profile.axes);
  cell.key = sha256_hex(cell.semantics).substr(0, kKeyDigits);
  return cell;
}

// Every combination of the axes' values, the last axis fastest.
std::vector<std::vector<int>> combinations(const std::vector<Axis>& axes) {
  std::vector<std::vector<int>> choices;
  std::vector<int> choice(axes.size(), 0);
  while (true) {
    choices.push_back(choice);
    // Counts up like an odometer.
    size_t i = choice.size();
    while (i > 0 && ++choice[i - 1] == static_cast<int>(axes[i - 1].values.size())) {
      choice[--i] = 0;
    }
    if (i == 0) return choices;
  }
}

// The first value of every axis, then each other value with the rest as it was.
std::vector<std::vector<int>> one_at_a_time(const std::vector<Axis>& axes) {
  std::vector<std::vector<int>> choices{std::vector<int>(axes.size(), 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    for (size_t value = 1; value < axes[i].values.size(); ++value) {
      choices.push_back(choices.front());
      choices.back()[i] = static_cast<int>(value);
    }
  }
  return choices;
}

// Refused before they are made: a product of axes grows faster than memory.
void require_few(const Profile& profile) {
  double product = 1, sum = 1;
  for (const Axis& axis : profile.axes) {
    product *= static_cast<double>(axis.values.size());
    sum += static_cast<double>(axis.values.size()) - 1;
  }
  const double cells = profile.sweep.mode == "cartesian" ? product : sum;
  if (cells * static_cast<double>(profile.sweep.repeats) <= kMostCells) return;
  throw Error(ErrorCode::kProfile,
              profile.path.string() + ": [sweep] asks for more than 10000 launches",
              "Vary fewer keys, or use mode = \"one_at_a_time\" or [[sweep.zip]].");
}

}  // namespace

Plan make_plan(const Profile& profile) {
  require_few(profile);
  Plan plan{profile, {}};
  resolve_loads(plan.profile);
  for (const Condition& condition : profile.sweep.exclude) {
    plan.excluded.push_back({condition.text, 0});
  }
  std::map<std::string, std::string> labels;  // by key
  for (const std::vector<int>& choice : profile.sweep.mode == "cartesian"
                                            ? combinations(profile.axes)
                                            : one_at_a_time(profile.axes)) {
    Cell cell = make_cell(profile, choice);
    const auto& conditions = profile.sweep.exclude;
    const auto reason =
        std::find_if(conditions.begin(), conditions.end(),
                     [&](const Condition& condition) { return holds(condition, cell.profile); });
    if (reason != conditions.end()) {
      ++plan.excluded[static_cast<size_t>(reason - conditions.begin())].cells;
      continue;
    }
    const auto [earlier, is_new] = labels.emplace(cell.key, cell.label);
    if (!is_new) {
      throw Error(ErrorCode::kProfile,
                  profile.path.string() + ": [sweep] makes two cells that measure the same: `" +
                      earlier->second + "` and `" + cell.label + "`",
                  "Remove one of the values; `repeats` measures a cell several times.");
    }
    plan.cells.push_back(std::move(cell));
  }
  if (plan.cells.empty()) {
    throw Error(ErrorCode::kProfile,
                profile.path.string() + ": `sweep.exclude` leaves no cell to run",
                "Weaken a condition; every one of " + std::to_string(plan.excluded.size()) +
                    " is tried against every cell.");
  }
  return plan;
}

}  // namespace ds4::profiles
