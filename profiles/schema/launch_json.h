// `[launch]` as JSON: whole for a worker, and what of it decides what is measured. Internal to this
// folder.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "profiles/schema/launch.h"

namespace ds4::profiles {

nlohmann::json launch_to_json(const LaunchSection& launch);
LaunchSection launch_from_json(const nlohmann::json& json);

/// Without paths, limits and names that decide nothing, and with placeholders as they are written.
nlohmann::json launch_semantics(const LaunchSection& launch);

}  // namespace ds4::profiles
