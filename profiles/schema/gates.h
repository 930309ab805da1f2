// `[[gate]]`: reading and validating what a run must keep.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// One gate. `definitions` are those of the profile's suites, `memory_floor` is its
/// limits.memory_floor. Throws Error(kProfile) for an unknown suite, score or metric, for a missing
/// or impossible bound and for unknown keys.
Gate read_gate(const TomlSource& source, const toml::table& table,
               std::span<const suites::Definition* const> definitions,
               std::optional<int64_t> memory_floor);

/// Every [[gate]] of a parsed file, in its order; none when there is no such key.
std::vector<Gate> read_gates(const TomlSource& source, const toml::table& root,
                             std::span<const suites::Definition* const> definitions,
                             std::optional<int64_t> memory_floor);

}  // namespace ds4::profiles
