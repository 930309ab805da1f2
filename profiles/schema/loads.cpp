#include "profiles/schema/loads.h"

namespace ds4::profiles {
namespace {

// That suite as the profile has it. Unknown names are the suite's to refuse.
std::optional<SuiteSection> section_of(const Profile& profile, const std::string& name) {
  for (const SuiteSection& section : profile.suites) {
    if (section.name == name) return section;
  }
  const suites::Suite* suite = suites::find_suite(name);
  if (!suite) return std::nullopt;
  const suites::Definition& definition = suite_definition(*suite);
  return SuiteSection{name, definition.version, definition.defaults, definition.scores};
}

}  // namespace

void resolve_loads(Profile& profile) {
  for (SuiteSection& section : profile.suites) {
    const auto load = section.parameters.find("load");
    if (load == section.parameters.end()) continue;
    const auto* name = std::get_if<std::string>(&load->second);
    if (!name || name->empty() || *name == section.name) continue;
    const std::optional<SuiteSection> from = section_of(profile, *name);
    if (!from) continue;
    for (const auto& [key, value] : from->parameters) section.parameters["load." + key] = value;
    section.parameters["load.version"] = static_cast<int64_t>(from->version);
    section.scores = from->scores;
  }
}

}  // namespace ds4::profiles
