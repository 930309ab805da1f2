// The [guard] section of a profile: from TOML, and as JSON inside a stored cell. Only for the .cpp
// files of this folder: it includes toml++.
#pragma once

#include <string>
#include <string_view>

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// Throws Error(kProfile) for an unknown key, a wrong type or a value out of range.
GuardSection read_guard(const TomlSource& source, const toml::node& node);

std::string guard_to_json(const GuardSection& guard);
GuardSection guard_from_json(std::string_view text);

}  // namespace ds4::profiles
