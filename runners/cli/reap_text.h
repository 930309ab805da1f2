// The results of pruning as text for people and as JSON for programs. Formatting only.
#pragma once

#include <string>

#include "engine/api/reap.h"

namespace ds4::cli {

/// All end with a newline.
std::string observation_table(const reap::Observation& observation);
std::string plan_table(const reap::Plan& plan);
std::string sizes_text(const reap::PruneSizes& sizes);
std::string sizes_json(const reap::PruneSizes& sizes);  // "format": "ds4-reap-sizes-1"
std::string validation_text(const reap::Validation& validation);
std::string validation_json(const reap::Validation& validation);  // "ds4-reap-validation-1"

}  // namespace ds4::cli
