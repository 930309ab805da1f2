// "Did you mean": the candidate closest to a mistyped name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ds4::profiles {

/// Number of single-character insertions, deletions and substitutions between two strings.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate with the least edit distance (the first of equals), or "" without candidates.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace ds4::profiles
