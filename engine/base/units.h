// Sizes and durations as people write and read them ("90GiB", "30m", "3.4 GiB").
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ds4 {

/// Parses "4096", "512 MiB", "90GiB", "1.5GB" to bytes. Throws Error(kUsage) naming `text`.
int64_t parse_bytes(std::string_view text);

/// Parses "250ms", "30s", "30m", "2h", "1.5h" (a bare number is seconds). Throws Error(kUsage).
std::chrono::milliseconds parse_duration(std::string_view text);

/// "3.43 GiB", "584 B": binary units, three significant digits.
std::string format_bytes(int64_t bytes);

/// "812 ms", "12.3 s", "4m 07s", "2h 05m".
std::string format_seconds(double seconds);

/// A number with `digits` significant digits and no exponent, e.g. 2,113 or 0.0123.
std::string format_number(double value, int digits = 3);

/// A whole number with thousands separated: 130,000.
std::string format_count(int64_t count);

}  // namespace ds4
