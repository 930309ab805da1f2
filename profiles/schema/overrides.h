// `--set key=value`: writes values into a parsed profile before it is validated.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <string>

#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// Applies one pair. Values have no place in the file afterwards, so complaints name --set.
/// Throws Error(kUsage) when the pair has no `=`, Error(kProfile) when its key leads nowhere.
void apply_override(toml::table& root, const std::string& pair);

}  // namespace ds4::profiles
