// Reads and validates `[launch]`. Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// Throws Error(kProfile) for an unknown key, a name that is no flag or variable, a value that is
/// not one line of text, a number or (of a flag) true, an unknown placeholder, and a key where
/// everybody could read it. Paths become absolute as those of `profile` do.
LaunchSection read_launch(const toml::node& node, const Profile& profile, const TomlSource& source);

/// What to write where no server is named: all that there are.
std::string server_hint();

}  // namespace ds4::profiles
