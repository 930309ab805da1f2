// Suite parameters and [sampling] as JSON: plainly for the canonical semantics, and with their type
// where a value must come back exactly. Internal to this folder.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "suites/suite.h"

namespace ds4::profiles {

/// The value alone: true, 3, 0.5, "text", [1, 2].
nlohmann::json plain_json(const suites::ParameterValue& value);

/// {"type": "integers", "value": [1, 2]}; keeps the type of an empty array.
nlohmann::json typed_json(const suites::ParameterValue& value);
suites::ParameterValue value_from_typed_json(const nlohmann::json& json);

/// Every key of [sampling], and back.
nlohmann::json sampling_json(const suites::Sampling& sampling);
suites::Sampling sampling_from_json(const nlohmann::json& json);

}  // namespace ds4::profiles
