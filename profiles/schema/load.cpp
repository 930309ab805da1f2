// profile.toml -> Profile: reads, applies --set, validates everything that needs no checkpoint.
#include "profiles/schema/load.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "profiles/schema/gates.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/overrides.h"
#include "profiles/schema/settings.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {
namespace {

using Definitions = std::span<const suites::Definition* const>;

constexpr int64_t kMaxProfileBytes = 1 << 20;  // a profile is a page of text

class Loader {
 public:
  Loader(const std::filesystem::path& path, Definitions definitions)
      : source_{path.string()}, definitions_(definitions) {
    profile_.path = path;
    profile_.text = read_file(path, kMaxProfileBytes);
    root_ = parse_toml(profile_.text, source_.origin);
  }

  Profile load(const std::vector<std::string>& overrides) {
    profile_.overrides = overrides;
    for (const std::string& pair : overrides) apply_override(root_, pair);
    const std::string valid[] = {"name",   "description", "checkpoint", "target",
                                 "script", "engine",      "sampling",   "suite",
                                 "gate",   "sweep",       "limits"};
    source_.require_known(root_, valid);
    top_level();
    suites();  // before [sweep], whose keys may name suites' parameters
    section("engine", engine_keys());
    section("sampling", sampling_keys());
    limits();
    gates();
    sweep();
    return std::move(profile_);
  }

 private:
  void top_level() {
    profile_.name = profile_.path.stem().string();
    if (const auto* node = root_.get("name")) profile_.name = source_.string(*node, "name");
    if (const auto* node = root_.get("description")) {
      profile_.description = source_.string(*node, "description");
    }
    if (const auto* node = root_.get("target")) {
      const std::string valid[] = {"engine", "null", "scripted"};
      profile_.target = source_.one_of(*node, "target", valid);
    }
    if (const auto* node = root_.get("checkpoint")) {
      apply_setting(profile_, "checkpoint", *node, source_);
    }
    if (const auto* node = root_.get("script")) {
      profile_.script = path_setting(profile_, "script", *node, source_).string();
    }
    require_for_target("engine", "checkpoint", profile_.checkpoint.empty());
    require_for_target("scripted", "script", profile_.script.empty());
  }

  void require_for_target(const char* target, const char* key, bool missing) {
    if (profile_.target != target || !missing) return;
    throw Error(ErrorCode::kProfile,
                source_.origin + ": the target `" + target + "` needs the key `" + key + "`",
                std::string("Add ") + key + " = \"PATH\", relative to the profile's folder.");
  }

  void suites() {
    const toml::node* node = root_.get("suite");
    if (!node) {
      throw Error(ErrorCode::kProfile, source_.origin + ": no [[suite]]: nothing to measure",
                  "Add for example:  [[suite]]  name = \"smoke\"");
    }
    if (!node->is_array_of_tables()) {
      source_.fail(*node, "`suite` must be written [[suite]], once per suite");
    }
    for (const toml::node& element : *node->as_array()) suite(*element.as_table());
  }

  void suite(const toml::table& table) {
    const toml::node* name_node = table.get("name");
    if (!name_node) source_.fail(table, "a [[suite]] needs the key `name`");
    const std::string name = source_.string(*name_node, "name");
    const suites::Definition* definition = nullptr;
    std::vector<std::string> names;
    for (const suites::Definition* candidate : definitions_) {
      if (candidate->name == name) definition = candidate;
      names.push_back(candidate->name);
    }
    if (!definition) {
      source_.fail(*name_node, "unknown suite `" + name + "`",
                   "The nearest suite is `" + nearest(name, names) +
                       "`; `ds4-sweep list suites` shows all.");
    }
    for (const SuiteSection& earlier : profile_.suites) {
      if (earlier.name == name) {
        source_.fail(*name_node, "suite `" + name + "` is listed twice",
                     "Merge the two, or sweep the parameter in which they differ.");
      }
    }
    SuiteSection section{definition->name, definition->version, definition->defaults,
                         definition->scores};
    std::vector<std::string> valid = {"name"};
    for (const auto& [key, value] : definition->defaults) valid.push_back(key);
    source_.require_known(table, valid);
    profile_.suites.push_back(std::move(section));
    profile_definitions_.push_back(definition);
    for (const auto& [key, value] : table) {
      if (key == "name") continue;
      apply_setting(profile_, name + "." + std::string(key.str()), value, source_);
    }
  }

  // A table of settings that a sweep may vary.
  void section(const std::string& name, const std::vector<std::string>& keys) {
    const toml::node* node = root_.get(name);
    if (!node) return;
    const toml::table& table = source_.table(*node, name);
    source_.require_known(table, keys);
    for (const auto& [key, value] : table) {
      apply_setting(profile_, name + "." + std::string(key.str()), value, source_);
    }
  }

  void limits() {
    const toml::node* node = root_.get("limits");
    if (!node) return;
    const toml::table& table = source_.table(*node, "limits");
    const std::string valid[] = {"cell_timeout", "case_timeout", "memory_floor"};
    source_.require_known(table, valid);
    if (const auto* value = table.get("cell_timeout")) {
      profile_.cell_timeout_s = duration(*value, "limits.cell_timeout");
    }
    if (const auto* value = table.get("case_timeout")) {
      profile_.case_timeout_s = duration(*value, "limits.case_timeout");
    }
    if (const auto* value = table.get("memory_floor")) {
      profile_.memory_floor = source_.bytes(*value, "limits.memory_floor");
    }
  }

  // Seconds: a number, or text with a unit ("30m").
  double duration(const toml::node& node, const char* key) {
    double seconds = 0;
    if (const auto* text = node.as_string()) {
      try {
        seconds = static_cast<double>(parse_duration(text->get()).count()) / 1000.0;
      } catch (const Error& e) {
        source_.fail(node, std::string("`") + key + "`: " + e.what(), e.hint());
      }
    } else {
      seconds = source_.number(node, key);
    }
    if (!(seconds > 0)) source_.fail(node, std::string("`") + key + "` must be more than 0");
    return seconds;
  }

  void gates() {
    const toml::node* node = root_.get("gate");
    if (!node) return;
    if (!node->is_array_of_tables()) {
      source_.fail(*node, "`gate` must be written [[gate]], once per gate");
    }
    for (const toml::node& element : *node->as_array()) {
      profile_.gates.push_back(read_gate(source_, *element.as_table(), profile_definitions_));
    }
  }

  void sweep() {
    const toml::node* node = root_.get("sweep");
    if (!node) return;
    std::vector<std::pair<toml::source_position, Axis>> axes;
    collect_axes(source_.table(*node, "sweep"), "", axes);
    // toml++ sorts keys; the order of a sweep is the order of the file.
    std::stable_sort(axes.begin(), axes.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [position, axis] : axes) {
      if (!set_by_user(axis.key)) profile_.axes.push_back(std::move(axis));
    }
  }

  // Keys may be quoted ("engine.kv_dtype" = ...) or dotted (engine.kv_dtype = ...): the latter
  // arrive as nested tables.
  void collect_axes(const toml::table& table, const std::string& prefix,
                    std::vector<std::pair<toml::source_position, Axis>>& axes) {
    for (const auto& [key, value] : table) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* nested = value.as_table()) {
        collect_axes(*nested, name + ".", axes);
        continue;
      }
      axes.emplace_back(key.source().begin, axis(name, value));
    }
  }

  Axis axis(const std::string& key, const toml::node& node) {
    const std::vector<std::string> valid = setting_keys(profile_);
    if (std::find(valid.begin(), valid.end(), key) == valid.end()) {
      source_.fail(node, "[sweep] names the unknown key `" + key + "`",
                   "The nearest valid key is `" + nearest(key, valid) + "`.");
    }
    Axis result{key, {}};
    Profile scratch = profile_;       // takes the values in turn, to validate them here
    std::vector<std::string> called;  // what each value is called in keys and labels
    for (const toml::node& value : source_.array(node, "sweep." + key)) {
      apply_setting(scratch, key, value, source_);
      std::string text = value_to_toml(value), name = text;
      if (key == "checkpoint") {  // kept as the path it stands for
        text = value_to_toml(toml::value<std::string>(scratch.checkpoint.string()));
        name = checkpoint_name(scratch);
      }
      if (std::find(called.begin(), called.end(), name) != called.end()) {
        source_.fail(value, "`sweep." + key + "` lists " + name + " twice",
                     key == "checkpoint" ? "Cells tell checkpoints apart by their folders' names; "
                                           "rename one of the folders."
                                         : "");
      }
      called.push_back(std::move(name));
      result.values.push_back(std::move(text));
    }
    if (result.values.empty()) source_.fail(node, "`sweep." + key + "` is empty");
    return result;
  }

  bool set_by_user(const std::string& key) const {
    return std::any_of(profile_.overrides.begin(), profile_.overrides.end(),
                       [&](const std::string& pair) { return pair.starts_with(key + "="); });
  }

  TomlSource source_;
  Definitions definitions_;                                     // of every suite there is
  std::vector<const suites::Definition*> profile_definitions_;  // of the profile's suites
  toml::table root_;
  Profile profile_;
};

}  // namespace

Profile load_profile_with(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides, Definitions definitions) {
  return Loader(path, definitions).load(overrides);
}

Profile load_profile(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  std::vector<const suites::Definition*> definitions;
  for (const suites::Suite* suite : suites::all_suites()) {
    definitions.push_back(&suite_definition(*suite));
  }
  return load_profile_with(path, overrides, definitions);
}

}  // namespace ds4::profiles
