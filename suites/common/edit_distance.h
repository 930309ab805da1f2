// Levenshtein distance with a cut-off: for near misses and for "did you mean".
#pragma once

#include <cstdint>
#include <string_view>

namespace ds4::suites {

/// The fewest single-byte insertions, deletions and substitutions that turn `a` into `b`;
/// `limit + 1` as soon as it must exceed `limit`. Case matters. O(|a| * |b|) time, O(|b|) memory.
int64_t edit_distance(std::string_view a, std::string_view b, int64_t limit);

}  // namespace ds4::suites
