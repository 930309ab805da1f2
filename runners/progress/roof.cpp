#include "runners/progress/roof.h"

#include <algorithm>
#include <cstdlib>

namespace ds4::runners {
namespace {

bool tells(const reports::AttemptRow& attempt) {
  return attempt.suite == reports::kProbeSuite ||
         std::any_of(attempt.samples.begin(), attempt.samples.end(), [](const auto& sample) {
           return sample.metric.text().starts_with("demand_bytes");
         });
}

}  // namespace

void RoofWatch::add(const reports::AttemptRow& attempt,
                    const std::optional<reports::ScoreRow>& score) {
  if (!tells(attempt)) return;
  const auto id = static_cast<int64_t>(told_.attempts.size()) + 1;
  told_.attempts.push_back({attempt, id, score});
  rows_.clear();
  if (const auto roof = reports::measured_roof(told_, attempt.cell_key)) {
    rows_ = reports::roofline_rows(told_, attempt.cell_key, *roof);
  }
}

std::optional<double> RoofWatch::most(const std::string& suite, int64_t prompt_tokens,
                                      bool prefill) const {
  const reports::RooflineRow* nearest = nullptr;
  for (const reports::RooflineRow& row : rows_) {
    if (row.suite != suite || !row.component.empty() || !row.measured) continue;
    if ((row.pass == reports::Pass::kPrefill) != prefill) continue;
    if (!nearest ||
        std::abs(row.context - prompt_tokens) < std::abs(nearest->context - prompt_tokens)) {
      nearest = &row;
    }
  }
  if (!nearest) return std::nullopt;
  return nearest->most;
}

}  // namespace ds4::runners
