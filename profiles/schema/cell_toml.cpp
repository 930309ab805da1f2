#include "profiles/schema/cell_toml.h"

#include <sstream>

#include "engine/base/check.h"
#include "profiles/schema/overrides.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

std::string cell_to_toml(const Profile& swept, const Cell& cell) {
  toml::table root = parse_toml(swept.text, swept.path.string());
  for (const std::string& pair : swept.overrides) apply_override(root, pair);
  root.erase("sweep");
  DS4_CHECK(cell.choice.size() == swept.axes.size(), cell.label);
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
  root.insert_or_assign("name", swept.name);  // else it would be that of the new file
  std::ostringstream out;
  out << toml::toml_formatter{root} << "\n";
  return out.str();
}

}  // namespace ds4::profiles
