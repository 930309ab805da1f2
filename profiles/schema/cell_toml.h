// One cell of a sweep as a profile of its own, to be run or deployed as it was measured.
#pragma once

#include <string>

#include "profiles/schema/plan.h"

namespace ds4::profiles {

/// TOML that loads, from any folder, as a profile with this one cell and its key: the text of the
/// swept profile with its --set pairs applied and the axes at the cell's values. [sweep] keeps what
/// concerns a single cell. Keys come sorted and without comments; paths are absolute.
std::string cell_to_toml(const Profile& swept, const Cell& cell);

}  // namespace ds4::profiles
