// `[[gate]]`: reading and validating bounds on figures.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <span>
#include <vector>

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// One gate. `definitions` are those of the profile's suites. Throws Error(kProfile) for an unknown
/// suite, score or metric, for a missing or impossible bound and for unknown keys.
Gate read_gate(const TomlSource& source, const toml::table& table,
               std::span<const suites::Definition* const> definitions);

}  // namespace ds4::profiles
