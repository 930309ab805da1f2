// What differs between two runs besides their results: checkpoint, settings, machine, build.
#pragma once

#include <string>
#include <vector>

#include "reports/compare/pairs.h"

namespace ds4::reports {

struct EnvironmentDifference {
  std::string what;  // "machine.cpu", "engine.kv_dtype (cell default)"
  std::string base, now;
};

/// Only what differs, in the order checkpoint, settings, machine, build.
std::vector<EnvironmentDifference> environment_differences(const RunData& base, const RunData& now,
                                                           const std::vector<CellPair>& pairs);

}  // namespace ds4::reports
