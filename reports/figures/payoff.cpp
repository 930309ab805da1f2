#include "reports/figures/payoff.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "engine/base/check.h"
#include "engine/base/units.h"
#include "reports/compare/lines.h"
#include "reports/stats/launches.h"

namespace ds4::reports {
namespace {

std::string percent(double ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", 100 * (ratio - 1));
  return text;
}

std::string measured(const PayoffPoint& point) {
  if (!point.interval) return percent(point.ratio);
  return percent(point.ratio) + " (95 %: " + percent(point.interval->lo) + " to " +
         percent(point.interval->hi) + ")";
}

std::string tokens(double count) {
  return std::to_string(std::llround(count)) + " tokens";
}

bool pays(const PayoffPoint& point) {
  return point.interval && point.interval->lo > 1;
}
bool costs(const PayoffPoint& point) {
  return point.interval && point.interval->hi < 1;
}

std::string verdict_of(const Payoff& payoff) {
  const PayoffPoint& shortest = payoff.points.front();
  const PayoffPoint& longest = payoff.points.back();
  std::string text;
  if (payoff.pays_up_to) {
    const auto at = std::find_if(payoff.points.begin(), payoff.points.end(),
                                 [&](const auto& p) { return p.context == *payoff.pays_up_to; });
    text = "pays up to " + tokens(at->context) + " of context, " + measured(*at) + " there";
  } else if (costs(shortest)) {
    text = "does not pay: " + measured(shortest) + " at " + tokens(shortest.context) +
           ", the shortest measured";
  } else {
    text = "not shown to pay: " + measured(shortest) + " at " + tokens(shortest.context);
  }
  if (payoff.break_even) return text + "; break-even at about " + tokens(*payoff.break_even);
  if (shortest.ratio > 1) {
    text += "; no break-even up to " + tokens(longest.context) + ", the longest measured";
  } else if (payoff.points.size() > 1) {
    text += "; " + measured(longest) + " at " + tokens(longest.context) + ", the longest";
  }
  return text;
}

}  // namespace

std::optional<PayoffPoint> payoff_point(const RunData& run, const std::string& reference_key,
                                        const Selection& selection) {
  const std::set<std::string> both =
      shared_cases(run, reference_key, run, selection.cell_key, selection.suite);
  std::set<std::string> cases;
  std::vector<double> contexts;
  for (const StoredAttempt* attempt : timed_attempts(run, selection.cell_key)) {
    if (!both.contains(attempt->case_id) || !selection.matches(attempt->suite, attempt->tags)) {
      continue;
    }
    cases.insert(attempt->case_id);
    contexts.push_back(static_cast<double>(attempt->prompt_tokens));
  }
  const Launches base = attempt_values(run, reference_key, selection.suite, "decode_rate", cases);
  const Launches now =
      attempt_values(run, selection.cell_key, selection.suite, "decode_rate", cases);
  if (base.empty() || now.empty()) return std::nullopt;
  PayoffPoint point;
  point.context = *median(contexts);
  const std::vector<double> values = pooled(now);
  point.n = std::ssize(values);
  point.ratio = *median(values) / *median(pooled(base));
  point.interval = launch_ratio_interval(base, now, {});
  return point;
}

Payoff payoff_of(std::vector<PayoffPoint> points) {
  DS4_CHECK(!points.empty());
  Payoff payoff;
  payoff.points = std::move(points);
  std::sort(payoff.points.begin(), payoff.points.end(),
            [](const auto& a, const auto& b) { return a.context < b.context; });
  for (const PayoffPoint& point : payoff.points) {
    if (!pays(point)) break;
    payoff.pays_up_to = point.context;
  }
  for (size_t i = 1; i < payoff.points.size() && !payoff.break_even; ++i) {
    const PayoffPoint& before = payoff.points[i - 1];
    const PayoffPoint& after = payoff.points[i];
    if (!(before.ratio > 1) || after.ratio > 1 || before.context <= 0) continue;
    const double share = std::log(before.ratio) / std::log(before.ratio / after.ratio);
    payoff.break_even = before.context * std::pow(after.context / before.context, share);
  }
  payoff.verdict = verdict_of(payoff);
  return payoff;
}

}  // namespace ds4::reports
