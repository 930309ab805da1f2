// Depths in case ids and tags: "0.50" rather than a double, so that names are stable.
#pragma once

#include <string>

namespace ds4::suites {

/// Two decimals where they suffice, else four: 0.5 -> "0.50", 0.125 -> "0.1250".
std::string depth_name(double depth);

/// The inverse, to four decimals.
double depth_value(const std::string& name);

}  // namespace ds4::suites
