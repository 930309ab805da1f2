#include "reports/figures/difference.h"

#include <map>

namespace ds4::reports {
namespace {

struct Sum {
  double total = 0;
  int64_t n = 0;
};

// Case id -> its repeats' values; cases without a verdict are absent.
std::map<std::string, Sum> case_scores(const RunData& run, const std::string& cell_key,
                                       const std::string& suite, const std::string& score) {
  std::map<std::string, Sum> cases;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key != cell_key || attempt.suite != suite || attempt.status != "ok") continue;
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

std::optional<Difference> score_difference(const RunData& run, const std::string& reference_key,
                                           const std::string& cell_key, const std::string& suite,
                                           const std::string& score) {
  const auto before = case_scores(run, reference_key, suite, score);
  const auto after = case_scores(run, cell_key, suite, score);
  Difference result;
  result.reference_key = reference_key;
  result.cell_key = cell_key;
  result.suite = suite;
  result.score = score;
  double squares = 0;
  for (const auto& [id, sum] : after) {
    const auto found = before.find(id);
    if (found == before.end()) continue;
    const double reference = found->second.total / static_cast<double>(found->second.n);
    const double value = sum.total / static_cast<double>(sum.n);
    ++result.n;
    result.reference += reference;
    result.value += value;
    squares += (value - reference) * (value - reference);
    result.lost += value < reference;
    result.gained += value > reference;
  }
  if (result.n == 0) return std::nullopt;
  const double n = static_cast<double>(result.n);
  result.interval = paired_difference_interval(result.value - result.reference, squares, result.n);
  result.reference /= n;
  result.value /= n;
  result.change = result.value - result.reference;
  result.p = mcnemar(result.lost, result.gained).mid_p;
  return result;
}

}  // namespace ds4::reports
