// Foreign JSON before it is parsed: its depth is bounded, since what walks it later may recurse.
#pragma once

#include <string_view>

namespace ds4::profiles {

/// False when brackets nest deeper than any recipe does.
bool bounded_json(std::string_view text);

}  // namespace ds4::profiles
