#include "suites/common/most_units.h"

#include <algorithm>

namespace ds4::suites {
namespace {

constexpr int kMaxCounts = 40;  // halving bounds it; interpolation takes a handful

}  // namespace

Units most_units(int64_t tokens, Units low, double tokens_per_unit,
                 const std::function<int64_t(int64_t)>& count) {
  int64_t exceeds = -1;  // the fewest units known not to fit
  for (int i = 0; i < kMaxCounts && exceeds != low.units + 1 && low.tokens != tokens; ++i) {
    const auto more =
        static_cast<int64_t>(static_cast<double>(tokens - low.tokens) / tokens_per_unit);
    int64_t next = low.units + std::max<int64_t>(more, 1);
    if (exceeds > 0) {
      next = std::min(next, exceeds - 1);
      if (i > kMaxCounts / 4) next = low.units + (exceeds - low.units) / 2;
    }
    const int64_t next_tokens = count(next);
    // A few units may be no token at all: the slope falls slowly.
    tokens_per_unit = std::max(
        static_cast<double>(next_tokens - low.tokens) / static_cast<double>(next - low.units),
        tokens_per_unit / 4);
    if (next_tokens > tokens) {
      exceeds = next;
    } else {
      low = {next, next_tokens};
    }
  }
  return low;
}

}  // namespace ds4::suites
