// A profile for another server: its command line, a .env file, a compose file. Every value is
// quoted for where it goes.
#pragma once

#include <string>

#include "profiles/schema/profile.h"

namespace ds4::profiles {

/// A shell command over several lines, with [launch.env] before it. Throws Error(kProfile) when no
/// model is known.
std::string export_command(const Profile& profile);

/// The .env file of the published start scripts; import_env() reads it back.
std::string export_env(const Profile& profile);

/// A compose file for one container. Throws Error(kProfile) without launch.image.
std::string export_compose(const Profile& profile);

}  // namespace ds4::profiles
