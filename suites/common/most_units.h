// How many units (characters, functions) of a text fit into a number of tokens, where only counting
// the whole tells. Knows nothing of what a unit is.
#pragma once

#include <cstdint>
#include <functional>

namespace ds4::suites {

struct Units {
  int64_t units = 0;
  int64_t tokens = 0;  // as counted
};

/// The most units whose count stays within `tokens`, found by interpolation in about five counts;
/// exact where the count never falls as units are added. Begins at `low`, which must fit, with
/// `tokens_per_unit` as a first guess. A count that is met exactly ends the search.
Units most_units(int64_t tokens, Units low, double tokens_per_unit,
                 const std::function<int64_t(int64_t)>& count);

}  // namespace ds4::suites
