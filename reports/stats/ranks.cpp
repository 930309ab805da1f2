#include "reports/stats/ranks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "reports/stats/normal.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxExactPairs = 2500;  // 50 against 50: milliseconds

// P(U <= u) for n and m values without ties. By the value that is the highest of all: it belongs to
// the first sample with probability i / (i + j) and then counts all j of the second.
double probability_up_to(size_t n, size_t m, size_t u) {
  // p[j][k] = P(U = k) of i and j values, for the i of the loop.
  std::vector<std::vector<double>> p(m + 1, std::vector<double>(u + 1, 0.0));
  for (auto& of_j : p) of_j[0] = 1;
  for (size_t i = 1; i <= n; ++i) {
    for (size_t j = 1; j <= m; ++j) {
      const double share = static_cast<double>(i) / static_cast<double>(i + j);
      for (size_t k = u + 1; k-- > 0;) {
        const double first_highest = k >= j ? p[j][k - j] : 0;  // still that of i - 1
        p[j][k] = share * first_highest + (1 - share) * p[j - 1][k];
      }
    }
  }
  double sum = 0;
  for (const double probability : p[m]) sum += probability;
  return sum;
}

}  // namespace

MannWhitney mann_whitney(std::span<const double> first, std::span<const double> second) {
  MannWhitney result;
  if (first.empty() || second.empty()) return result;
  std::vector<std::pair<double, bool>> pooled;  // value, of the first sample
  for (const double value : first) pooled.emplace_back(value, true);
  for (const double value : second) pooled.emplace_back(value, false);
  std::sort(pooled.begin(), pooled.end());
  double ties = 0;          // sum of t^3 - t over groups of t equal values
  double second_below = 0;  // values of the second sample before the group
  for (size_t begin = 0, end = 0; begin < pooled.size(); begin = end) {
    double of_first = 0, of_second = 0;
    for (; end < pooled.size() && pooled[end].first == pooled[begin].first; ++end) {
      (pooled[end].second ? of_first : of_second) += 1;
    }
    result.u += of_first * (second_below + of_second / 2);
    second_below += of_second;
    const double t = of_first + of_second;
    ties += t * t * t - t;
  }
  const double n = static_cast<double>(first.size()), m = static_cast<double>(second.size());
  const double least = std::min(result.u, n * m - result.u);
  if (ties == 0 && first.size() * second.size() <= kMaxExactPairs) {
    result.exact = true;
    const auto u = static_cast<size_t>(std::llround(least));
    result.p = std::min(1.0, 2 * probability_up_to(first.size(), second.size(), u));
    return result;
  }
  const double total = n + m;
  const double variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)));
  const double distance = n * m / 2 - least - 0.5;  // half a pair: the counts are whole
  if (variance > 0 && distance > 0) {
    result.p = std::min(1.0, 2 * normal_upper_tail(distance / std::sqrt(variance)));
  }
  return result;
}

}  // namespace ds4::reports
