#include "engine/base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "engine/base/error.h"

namespace ds4 {
namespace {

// Splits "1.5 GiB" into 1.5 and "GiB"; throws when the number is missing or negative.
std::pair<double, std::string_view> split_quantity(std::string_view text, const char* example) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || !(value >= 0) || !std::isfinite(value)) {
    throw Error(ErrorCode::kUsage, "`" + std::string(text) + "` is not a quantity",
                std::string("Write for example ") + example + ".");
  }
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return {value, unit};
}

// "-1234567.8" -> "-1,234,567.8".
std::string separate_thousands(std::string number) {
  const size_t point = number.find('.');
  size_t whole = point == std::string::npos ? number.size() : point;
  const size_t first = number[0] == '-' ? 1 : 0;
  while (whole > first + 3) {
    whole -= 3;
    number.insert(whole, ",");
  }
  return number;
}

}  // namespace

int64_t parse_bytes(std::string_view text) {
  constexpr const char* kExample = "90GiB, 512MiB or 4096";
  const auto [value, unit] = split_quantity(text, kExample);
  static constexpr std::array<std::pair<std::string_view, double>, 11> kUnits{{
      {"", 1},
      {"B", 1},
      {"KiB", 0x1p10},
      {"MiB", 0x1p20},
      {"GiB", 0x1p30},
      {"TiB", 0x1p40},
      {"kB", 1e3},
      {"KB", 1e3},
      {"MB", 1e6},
      {"GB", 1e9},
      {"TB", 1e12},
  }};
  for (const auto& [name, factor] : kUnits) {
    if (unit == name && value * factor < 9e18) return std::llround(value * factor);
  }
  throw Error(ErrorCode::kUsage, "`" + std::string(text) + "` is not a size",
              std::string("Write for example ") + kExample + ".");
}

std::chrono::milliseconds parse_duration(std::string_view text) {
  constexpr const char* kExample = "30m, 90s, 250ms or 2h";
  const auto [value, unit] = split_quantity(text, kExample);
  static constexpr std::array<std::pair<std::string_view, double>, 5> kUnits{
      {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}}};
  for (const auto& [name, factor] : kUnits) {
    if (unit == name && value * factor < 9e15) {
      return std::chrono::milliseconds(std::llround(value * factor));
    }
  }
  throw Error(ErrorCode::kUsage, "`" + std::string(text) + "` is not a duration",
              std::string("Write for example ") + kExample + ".");
}

std::string format_bytes(int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (std::fabs(value) >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return (unit == 0 ? std::to_string(bytes) : format_number(value)) + " " + kUnits[unit];
}

std::string format_seconds(double seconds) {
  char text[64];
  if (seconds < 1) {
    std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  } else if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else {
    const auto whole = std::llround(seconds);
    if (whole < 3600) {
      std::snprintf(text, sizeof text, "%lldm %02llds", whole / 60, whole % 60);
    } else {
      std::snprintf(text, sizeof text, "%lldh %02lldm", whole / 3600, whole / 60 % 60);
    }
  }
  return text;
}

std::string format_number(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return value == 0 ? "0" : "n/a";
  const int magnitude = static_cast<int>(std::floor(std::log10(std::fabs(value))));
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", std::max(0, digits - 1 - magnitude), value);
  return separate_thousands(text);
}

std::string format_count(int64_t count) {
  return separate_thousands(std::to_string(count));
}

}  // namespace ds4
