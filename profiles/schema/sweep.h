// `[sweep]` of a profile: its axes and what else it says about cells. Which cells come of it is
// plan.h's business. Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <string_view>

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// Fills in profile.axes and profile.sweep; everything else of the profile must be there already.
/// A key that a --set pair gave a value is no longer swept. Throws Error(kProfile).
void read_sweep(Profile& profile, const toml::table& table, const TomlSource& source);

/// True for the keys of [sweep] that say how a cell is launched ("repeats", "sentinel", ...), not
/// which cells there are and in which order.
bool is_launch_option(std::string_view key);

}  // namespace ds4::profiles
