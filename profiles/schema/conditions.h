// `exclude` of [sweep]: which cells a sweep leaves out. A condition is comparisons joined by `and`;
// several conditions in the list mean `or`. That is the whole language.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// Reads one text of the list, such as `engine.draft_tokens > 0 and engine.kv_dtype == "bf16"`: a
/// key of setting_keys(), one of == != < <= > >=, and a value that the key could have. Throws
/// Error(kProfile), naming the line of the text.
Condition read_condition(const Profile& profile, const toml::node& node, const TomlSource& source);

/// Whether every comparison holds for the settings of `cell`.
bool holds(const Condition& condition, const Profile& cell);

}  // namespace ds4::profiles
