// The classic two-row dynamic programme, stopped when a whole row lies above the limit.
#include "suites/common/edit_distance.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace ds4::suites {

int64_t edit_distance(std::string_view a, std::string_view b, int64_t limit) {
  const auto difference = static_cast<int64_t>(a.size()) - static_cast<int64_t>(b.size());
  if (std::abs(difference) > limit) return limit + 1;
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0];
    int64_t best = row[0] = static_cast<int64_t>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
      best = std::min(best, row[j + 1]);
    }
    if (best > limit) return limit + 1;
  }
  return std::min(row.back(), limit + 1);
}

}  // namespace ds4::suites
