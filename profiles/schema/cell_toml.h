// One cell of a sweep as a profile of its own, to be run or deployed as it was measured.
#pragma once

#include <string>

#include "profiles/schema/plan.h"

namespace ds4::profiles {

/// TOML that loads, from any folder, as a profile with this one cell: the text of the swept profile
/// with its --set pairs applied, the axes at the cell's values and [sweep] gone. Keys come sorted
/// and without comments; paths are absolute.
std::string cell_to_toml(const Profile& swept, const Cell& cell);

}  // namespace ds4::profiles
