#include "reports/figures/difference.h"

#include <map>

namespace ds4::reports {
namespace {

struct Sum {
  double total = 0;
  int64_t n = 0;
};

// Case id -> its repeats' values; cases without a verdict are absent.
std::map<std::string, Sum> case_scores(const CellOf& cell, const std::string& suite,
                                       const std::string& score) {
  std::map<std::string, Sum> cases;
  for (const StoredAttempt& attempt : cell.run.attempts.of(cell.key)) {
    if (attempt.suite != suite || attempt.status != "ok") continue;
    if (!attempt.score || attempt.score->grade == "invalid") continue;
    const auto value = attempt.score->values.find(score);
    if (value == attempt.score->values.end()) continue;
    Sum& sum = cases[attempt.case_id];
    sum.total += value->second;
    ++sum.n;
  }
  return cases;
}

}  // namespace

std::optional<Difference> score_difference(const CellOf& reference, const CellOf& cell,
                                           const std::string& suite, const std::string& score,
                                           double alpha) {
  const auto before = case_scores(reference, suite, score);
  const auto after = case_scores(cell, suite, score);
  Difference result;
  result.reference_key = reference.key;
  result.cell_key = cell.key;
  result.suite = suite;
  result.score = score;
  for (const auto& [id, sum] : before) {
    if (!after.contains(id)) result.only_reference.push_back(id);
  }
  for (const auto& [id, sum] : after) {
    const auto found = before.find(id);
    if (found == before.end()) {
      result.only_value.push_back(id);
      continue;
    }
    const double was = found->second.total / static_cast<double>(found->second.n);
    const double is = sum.total / static_cast<double>(sum.n);
    ++result.n;
    result.reference += was;
    result.value += is;
    result.sum_of_squares += (is - was) * (is - was);
    result.lost += is < was;
    result.gained += is > was;
  }
  if (result.n == 0) return std::nullopt;
  const double n = static_cast<double>(result.n);
  result.interval = paired_difference_interval(result.value - result.reference,
                                               result.sum_of_squares, result.n, alpha);
  result.reference /= n;
  result.value /= n;
  result.change = result.value - result.reference;
  result.test = mcnemar(result.lost, result.gained);
  return result;
}

}  // namespace ds4::reports
