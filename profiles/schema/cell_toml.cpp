#include "profiles/schema/cell_toml.h"

#include <sstream>

#include "engine/base/check.h"
#include "profiles/schema/overrides.h"
#include "profiles/schema/settings.h"
#include "profiles/schema/sweep.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {
namespace {

// What [sweep] says of one cell as of many: how it is launched, and limits that are part of its key
// since they varied.
toml::table sweep_of(const toml::table& root, const Profile& swept, const Cell& cell) {
  toml::table kept;
  if (const toml::table* sweep = root.get_as<toml::table>("sweep")) {
    for (const auto& [key, value] : *sweep) {
      if (is_launch_option(key.str())) kept.insert(key, value);
    }
  }
  for (size_t i = 0; i < swept.axes.size(); ++i) {
    const Axis& axis = swept.axes[i];
    const auto& values = axis.values.at(static_cast<size_t>(cell.choice[i]));
    for (size_t k = 0; k < axis.keys.size(); ++k) {
      if (!names_cells_when_swept(axis.keys[k])) continue;
      const toml::table parsed = parse_value(values[k]);
      kept.insert(axis.keys[k], toml::array{*parsed.get("v")});
    }
  }
  return kept;
}

}  // namespace

std::string cell_to_toml(const Profile& swept, const Cell& cell) {
  toml::table root = parse_toml(swept.text, swept.path.string());
  for (const std::string& pair : swept.overrides) apply_override(root, pair);
  DS4_CHECK(cell.choice.size() == swept.axes.size(), cell.label);
  toml::table sweep = sweep_of(root, swept, cell);
  root.erase("sweep");
  if (!sweep.empty()) root.insert("sweep", std::move(sweep));
  for (size_t i = 0; i < swept.axes.size(); ++i) {
    const Axis& axis = swept.axes[i];
    const auto& values = axis.values.at(static_cast<size_t>(cell.choice[i]));
    for (size_t k = 0; k < axis.keys.size(); ++k) {
      apply_override(root, axis.keys[k] + "=" + values[k]);
    }
  }
  // As they were resolved: the text may be loaded from another folder.
  if (!cell.profile.checkpoint.empty()) {
    root.insert_or_assign("checkpoint", cell.profile.checkpoint.string());
  }
  if (!cell.profile.script.empty()) root.insert_or_assign("script", cell.profile.script);
  if (!cell.profile.recording.empty()) root.insert_or_assign("recording", cell.profile.recording);
  if (toml::table* launch = root.get_as<toml::table>("launch")) {
    const LaunchSection& resolved = cell.profile.launch;
    if (!resolved.folder.empty()) launch->insert_or_assign("folder", resolved.folder);
    if (!resolved.log.empty()) launch->insert_or_assign("log", resolved.log);
  }
  root.insert_or_assign("name", swept.name);  // else it would be that of the new file
  std::ostringstream out;
  // Without flags: the multi-line strings of toml++ lose a line break at their beginning.
  out << toml::toml_formatter{root, toml::format_flags::none} << "\n";
  return out.str();
}

}  // namespace ds4::profiles
