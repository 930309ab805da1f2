// Figures as people read them: precision follows the unit.
#pragma once

#include <string>

#include "reports/figures/figure.h"

namespace ds4::reports {

/// "0.984", "812 ms", "2,113 tok/s", "3.43 GiB"; "–" for nothing.
std::string format_value(const std::string& unit, double value);
std::string format_value(const FigureData& figure);
/// The 95 % interval as "0.913 to 0.997", or "–" where there is none.
std::string format_interval(const FigureData& figure);

}  // namespace ds4::reports
