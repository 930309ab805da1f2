// Number extraction of the arithmetic suite: the strict and the flexible filter of the well-known
// grade-school task and its normal form of a number. Byte-exact, no regular expressions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds4::suites {

struct ExtractedNumber {
  std::string text;     // as it stands in the answer
  bool at_end = false;  // nothing follows it: possibly cut there
};

/// The first match of `#### (-?[0-9.,]+)`.
std::optional<ExtractedNumber> strict_number(std::string_view answer);

/// The last non-overlapping match of `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
std::optional<ExtractedNumber> flexible_number(std::string_view answer);

/// Removes "," and "$", then one "." at the end. No numeric parsing: "18.0" is not "18".
std::string normal_number(std::string_view number);

}  // namespace ds4::suites
