// profile.toml -> Profile: reads, applies --set, validates everything that needs no checkpoint.
#include "profiles/schema/load.h"

#include <algorithm>
#include <map>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/schema/gates.h"
#include "profiles/schema/launch_read.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/overrides.h"
#include "profiles/schema/settings.h"
#include "profiles/schema/sweep.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {
namespace {

using Definitions = std::span<const suites::Definition* const>;

constexpr int64_t kMaxProfileBytes = 1 << 20;  // a profile is a page of text

class Loader {
 public:
  Loader(const std::filesystem::path& path, std::string text, Definitions definitions)
      : source_{path.string()}, definitions_(definitions) {
    profile_.path = path;
    profile_.text = std::move(text);
    root_ = parse_toml(profile_.text, source_.origin);
  }

  Profile load(const std::vector<std::string>& overrides) {
    profile_.overrides = overrides;
    for (const std::string& pair : overrides) apply_override(root_, pair);
    const std::string valid[] = {"name",   "description", "checkpoint", "target", "script",
                                 "engine", "sampling",    "suite",      "gate",   "sweep",
                                 "limits", "guard",       "server",     "launch", "recording"};
    source_.require_known(root_, valid);
    top_level();
    section("server", server_keys());
    if (const auto* node = root_.get("launch")) {
      profile_.launch = read_launch(*node, profile_, source_);
    }
    require_complete(profile_);
    suites();  // before [sweep], whose keys may name suites' parameters
    section("engine", engine_keys());
    section("sampling", sampling_keys());
    section("limits", limits_keys());
    section("guard", guard_keys());
    profile_.gates = read_gates(source_, root_, profile_definitions_, profile_.memory_floor);
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
    for (const char* key : {"target", "checkpoint", "script", "recording"}) {
      if (const auto* node = root_.get(key)) apply_setting(profile_, key, *node, source_);
    }
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

  void section(const std::string& name, const std::vector<std::string>& keys) {
    if (const toml::node* node = root_.get(name)) settings(name, *node, keys);
  }

  // A table of settings; those of a key with a dot ("floors.load") are in a table inside it.
  void settings(const std::string& path, const toml::node& node,
                const std::vector<std::string>& keys) {
    std::vector<std::string> valid;
    std::map<std::string, std::vector<std::string>> inner;
    for (const std::string& key : keys) {
      const size_t dot = key.find('.');
      if (dot == std::string::npos) {
        valid.push_back(key);
      } else {
        inner[key.substr(0, dot)].push_back(key.substr(dot + 1));
      }
    }
    for (const auto& [name, names] : inner) valid.push_back(name);
    const toml::table& table = source_.table(node, path);
    source_.require_known(table, valid);
    for (const auto& [key, value] : table) {
      const std::string name(key.str());
      if (const auto found = inner.find(name); found != inner.end()) {
        settings(path + "." + name, value, found->second);
      } else {
        apply_setting(profile_, path + "." + name, value, source_);
      }
    }
  }

  void sweep() {
    if (const toml::node* node = root_.get("sweep")) {
      read_sweep(profile_, source_.table(*node, "sweep"), source_);
    }
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
  return Loader(path, read_file(path, kMaxProfileBytes), definitions).load(overrides);
}

namespace {

std::vector<const suites::Definition*> all_definitions() {
  std::vector<const suites::Definition*> definitions;
  for (const suites::Suite* suite : suites::all_suites()) {
    definitions.push_back(&suite_definition(*suite));
  }
  return definitions;
}

}  // namespace

Profile load_profile(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return load_profile_with(path, overrides, all_definitions());
}

Profile parse_profile(const std::filesystem::path& path, std::string text) {
  return Loader(path, std::move(text), all_definitions()).load({});
}

std::string setting_problem(const std::string& key, const std::string& value) {
  Profile scratch;
  const toml::table parsed = parse_value(value);
  try {
    apply_setting(scratch, key, *parsed.get("v"), TomlSource{""});
    return "";
  } catch (const Error& error) {
    // The place is no place: "--set: ".
    const std::string text = error.what();
    return text.substr(text.find(": ") + 2);
  }
}

}  // namespace ds4::profiles
