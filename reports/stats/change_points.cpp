#include "reports/stats/change_points.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"
#include "reports/stats/generator.h"
#include "reports/stats/stats.h"

namespace ds4::reports {
namespace {

constexpr size_t kOrders = 9999;

// Ranks less their mean; equal values share the mean of their places.
std::vector<double> centred_ranks(std::span<const double> values) {
  const size_t n = values.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(n);
  const double mean = (static_cast<double>(n) - 1) / 2;
  for (size_t first = 0, last = 0; first < n; first = last) {
    while (last < n && values[order[last]] == values[order[first]]) ++last;
    const double shared = static_cast<double>(first + last - 1) / 2 - mean;
    for (size_t i = first; i < last; ++i) ranks[order[i]] = shared;
  }
  return ranks;
}

struct Split {
  size_t at = 0;
  double size = 0;  // |sum of the centred ranks before it| / sqrt(k (n - k))
};

Split best_split(std::span<const double> ranks) {
  Split best;
  double sum = 0;
  const size_t n = ranks.size();
  for (size_t k = 1; k + kLeastSegment <= n; ++k) {
    sum += ranks[k - 1];
    if (k < kLeastSegment) continue;
    const double size = std::abs(sum) / std::sqrt(static_cast<double>(k * (n - k)));
    if (size > best.size) best = {k, size};
  }
  return best;
}

// How often a random order has a split as large; the series itself is one of the orders. 1 as soon
// as it is known to be above alpha.
double p_of(const Split& split, std::vector<double> ranks, double alpha) {
  constexpr double kRounding = 1e-9;  // sums of the same ranks in another order
  Generator generator;
  size_t as_large = 1;
  for (size_t i = 0; i < kOrders; ++i) {
    for (size_t last = ranks.size() - 1; last > 0; --last) {  // Fisher and Yates
      std::swap(ranks[last], ranks[generator.below(last + 1)]);
    }
    as_large += best_split(ranks).size >= split.size * (1 - kRounding);
    if (static_cast<double>(as_large) > alpha * (kOrders + 1)) return 1;
  }
  return static_cast<double>(as_large) / static_cast<double>(kOrders + 1);
}

void search(std::span<const double> values, size_t offset, double alpha,
            std::vector<ChangePoint>& found) {
  if (values.size() < kLeastSeries) return;
  const std::vector<double> ranks = centred_ranks(values);
  const Split split = best_split(ranks);
  if (split.size == 0) return;  // all alike
  const double p = p_of(split, ranks, alpha);
  if (p > alpha) return;
  search(values.first(split.at), offset, alpha, found);
  found.push_back({offset + split.at, 0, 0, p});
  search(values.subspan(split.at), offset + split.at, alpha, found);
}

}  // namespace

std::vector<ChangePoint> change_points(std::span<const double> values, double alpha) {
  DS4_CHECK(alpha > 0 && alpha < 1);
  std::vector<ChangePoint> found;
  search(values, 0, alpha, found);
  for (size_t i = 0; i < found.size(); ++i) {
    const size_t begin = i == 0 ? 0 : found[i - 1].at;
    const size_t end = i + 1 == found.size() ? values.size() : found[i + 1].at;
    found[i].before = *median(values.subspan(begin, found[i].at - begin));
    found[i].after = *median(values.subspan(found[i].at, end - found[i].at));
  }
  return found;
}

}  // namespace ds4::reports
