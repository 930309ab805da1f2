// Numbers of an answer to a word problem, as lm-evaluation-harness' filters for GSM8K find them,
// oddities included, since published figures depend on them. Byte-exact, no regular expressions.
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

/// The first match of `The answer is (-?[0-9.,]+).`, whose last dot is any character but a line
/// end: a number that ends a line loses its last character, and one of a single digit is none.
std::optional<ExtractedNumber> answer_is_number(std::string_view answer);

/// The last non-overlapping match of `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
std::optional<ExtractedNumber> flexible_number(std::string_view answer);

/// Removes "," and "$", then one "." at the end. No numeric parsing: "18.0" is not "18".
std::string normal_number(std::string_view number);

}  // namespace ds4::suites
