#include "reports/figures/format.h"

#include <cmath>
#include <cstdio>

#include "engine/base/units.h"

namespace ds4::reports {
namespace {
constexpr char kNothing[] = "–";
}

std::string format_value(const std::string& unit, double value) {
  if (unit == "s") {
    // Three digits below a second too: a first token can come within microseconds.
    if (value < 1e-3) return format_number(value * 1e6) + " µs";
    return value < 1 ? format_number(value * 1e3) + " ms" : format_seconds(value);
  }
  if (unit == "B") return format_bytes(std::llround(value));
  if (unit == "B/s") return format_number(value * 1e-9) + " GB/s";
  if (unit == "1") return format_number(value);
  if (!unit.empty()) return format_number(value) + " " + unit;
  // Scores: fixed decimals keep a column comparable.
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string format_value(const FigureData& figure) {
  return figure.value ? format_value(figure.unit, *figure.value) : kNothing;
}

std::string format_interval(const FigureData& figure) {
  if (!figure.interval) return kNothing;
  return format_value(figure.unit, figure.interval->lo) + " to " +
         format_value(figure.unit, figure.interval->hi);
}

}  // namespace ds4::reports
