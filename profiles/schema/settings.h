// The keys a sweep may vary: `checkpoint`, `target`, `script`, [engine], [sampling], [limits],
// [guard] and the suites' parameters. One table serves the loader, --set and the plan. Only for the
// .cpp files of this folder: it includes toml++.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

/// The keys of [engine], without the prefix.
std::vector<std::string> engine_keys();

/// The keys of [sampling], without the prefix.
std::vector<std::string> sampling_keys();

/// The keys of [limits], without the prefix.
std::vector<std::string> limits_keys();

/// The keys of [guard], without the prefix: "floor", "floors.load", "target", ...
std::vector<std::string> guard_keys();

/// The keys of [server], without the prefix.
std::vector<std::string> server_keys();

/// Every key that a sweep may vary in this profile: "checkpoint", "engine.kv_dtype", ...
std::vector<std::string> setting_keys(const Profile& profile);

/// True for limits, the guard, and where a server is and how long it is waited for, which decide
/// how long and with how much memory a cell may run, not what it measures: they are part of its key
/// only where they vary.
bool names_cells_when_swept(std::string_view key);

/// Why no sweep varies a key that a profile may have: "guard.target", "launch.model", "name"; ""
/// for any other text.
std::string why_fixed(const std::string& key);

/// The absolute path that a key names: relative to the profile's folder, or for --set to the
/// working directory, where a shell completes it; the name of a synthetic checkpoint as it is.
/// Throws Error(kProfile) for anything but text.
std::filesystem::path path_setting(const Profile& profile, const char* key, const toml::node& value,
                                   const TomlSource& source);

/// What a checkpoint is called wherever it lies: its last component, "tiny" or "tiny:k20".
/// docs/decisions/0008-checkpoint-names.md. "" without one.
std::string checkpoint_name(const Profile& profile);

/// Sets one of setting_keys(), or `guard.target`. Throws Error(kProfile) for an unknown key, a
/// wrong type or a value out of range.
void apply_setting(Profile& profile, const std::string& key, const toml::node& value,
                   const TomlSource& source);

/// Throws Error(kProfile) when the profile's target needs a path that it does not name.
void require_complete(const Profile& profile);

/// The value that one of setting_keys() has, as TOML text; limits in seconds and bytes, 0 for a
/// floor that is the machine's. Any other key is a bug of the caller.
std::string setting_text(const Profile& profile, const std::string& key);

}  // namespace ds4::profiles
