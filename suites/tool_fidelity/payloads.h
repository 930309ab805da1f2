// What tool_fidelity asks for: a request in words and the calls that it must lead to.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites::tool_fidelity {

/// The names that `payloads` of suite.toml may have, in its order.
const std::vector<std::string>& payload_names();

/// Texts of the tools on offer (tool_schema.h); the same for every payload.
const std::vector<std::string>& functions();

/// Sets `request` and returns the wanted calls: [{"name", "arguments"}].
nlohmann::ordered_json random_payload(const std::string& name, Rng& rng, std::string& request);

}  // namespace ds4::suites::tool_fidelity
