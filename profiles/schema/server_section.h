// The [server] section of a profile: its keys, and as JSON inside a stored cell. Only for the .cpp
// files of this folder: it includes toml++.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "profiles/schema/profile.h"
#include "profiles/schema/setting_key.h"

namespace ds4::profiles {

/// "url", "model", ...; limits that are not named are written as 0.
std::span<const Key<ServerSection>> server_table();

nlohmann::json server_to_json(const ServerSection& server);
ServerSection server_from_json(const nlohmann::json& json);

/// What decides what is measured of a server, for a cell's key: not where it is, nor how long one
/// waits. Empty when nothing is said.
nlohmann::json server_semantics(const ServerSection& server);

}  // namespace ds4::profiles
