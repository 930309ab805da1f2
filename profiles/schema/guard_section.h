// The [guard] section of a profile: its keys, and as JSON inside a stored cell. Only for the .cpp
// files of this folder: it includes toml++.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "profiles/schema/profile.h"
#include "profiles/schema/setting_key.h"

namespace ds4::profiles {

/// "enabled", "floor", "floors.load", ...; a floor that is not named is written as 0.
std::span<const Key<GuardSection>> guard_table();

std::string guard_to_json(const GuardSection& guard);
GuardSection guard_from_json(std::string_view text);

}  // namespace ds4::profiles
