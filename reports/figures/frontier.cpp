#include "reports/figures/frontier.h"

#include <algorithm>

#include "reports/figures/figure.h"

namespace ds4::reports {
namespace {

// A text never gets cheaper per token with its length, so that a rate over all of it which is so
// many times that of the first frontier has a cache behind it, whatever the target says.
constexpr double kImpossible = 2;

FrontierStep step_of(const StoredAttempt& attempt) {
  FrontierStep step;
  step.cell_key = attempt.cell_key;
  step.launch = attempt.launch;
  step.attempt_id = attempt.id;
  step.ctx_tokens = attempt.prompt_tokens;
  step.prefill_tokens = attempt.prompt_tokens - attempt.cached_tokens;
  step.prefill_rate = attempt_metric(attempt, "prefill_rate");
  step.gen_tokens = attempt.completion_tokens;
  step.decode_rate = attempt_metric(attempt, "decode_rate");
  if (const auto bytes = attempt_metric(attempt, "kv_cache")) {
    step.kv_bytes = static_cast<int64_t>(*bytes);
  }
  return step;
}

// What came from the cache must be the step before; a server keeps whole blocks, so a little less.
void look_back(FrontierStep& step, const FrontierStep& first, const FrontierStep& before) {
  const int64_t cached = step.ctx_tokens - step.prefill_tokens;
  if (cached > 0) {
    if (cached < before.ctx_tokens) {
      step.remark = std::to_string(cached) + " of the " + std::to_string(before.ctx_tokens) +
                    " tokens before it came from the cache";
    }
    return;
  }
  step.remark = "cold: nothing came from a cache";
  if (step.prefill_rate && first.prefill_rate &&
      *step.prefill_rate > kImpossible * *first.prefill_rate) {
    step.prefill_rate.reset();
    step.remark = "faster than cold can be: a cache that the target does not tell of";
  }
}

}  // namespace

std::vector<FrontierStep> frontier_steps(const RunData& run) {
  std::vector<FrontierStep> steps;
  for (const CellRow& cell : run.cells) {
    const auto begin = static_cast<std::ptrdiff_t>(steps.size());
    for (const StoredAttempt* attempt : timed_attempts(run, cell.key)) {
      if (attempt->tags.contains("frontier") && attempt->status == "ok") {
        steps.push_back(step_of(*attempt));
      }
    }
    std::stable_sort(steps.begin() + begin, steps.end(), [](const auto& a, const auto& b) {
      return std::pair(a.launch, a.ctx_tokens) < std::pair(b.launch, b.ctx_tokens);
    });
    size_t first = static_cast<size_t>(begin);
    for (size_t i = first + 1; i < steps.size(); ++i) {
      if (steps[i].launch != steps[first].launch) {
        first = i;
      } else {
        look_back(steps[i], steps[first], steps[i - 1]);
      }
    }
  }
  return steps;
}

}  // namespace ds4::reports
