#include "reports/load/steady.h"

#include <algorithm>

#include "reports/load/percentile.h"

namespace ds4::reports {
namespace {

constexpr double kLagShare = 0.01;
constexpr double kStepPays = 0.5;
constexpr double kGoodShare = 0.99;

std::optional<std::pair<double, double>> window_of(const LoadTrace& trace) {
  const auto& requests = trace.requests;  // as they were due
  if (requests.empty()) return std::nullopt;
  if (trace.way != "concurrency") {
    return std::pair(requests.front().scheduled_s, requests.back().scheduled_s);
  }
  const auto places = static_cast<size_t>(trace.offered_level());
  if (requests.size() < places) return std::nullopt;
  const double begin = requests[places - 1].scheduled_s;
  // Every end before the last request was due made room for one; the first one after it did not.
  const double last_due = requests.back().scheduled_s;
  double end = trace.duration_s();
  int64_t beyond = 0;
  for (const LoadRequest& request : requests) {
    const double at = request.sent_s + request.end_s;
    if (at <= last_due) continue;
    ++beyond;
    end = std::min(end, at);
  }
  if (beyond == 0) return std::nullopt;
  return std::pair(begin, end);
}

}  // namespace

std::optional<SteadyWindow> steady_window(const LoadTrace& trace) {
  const auto window = window_of(trace);
  if (!window || !(window->second > window->first)) return std::nullopt;
  SteadyWindow steady{window->first, window->second, 0};
  double tokens = 0;
  for (const LoadRequest& request : trace.requests) {
    if (!request.ok) continue;
    for (const EventRow& event : request.events) {
      const double at = request.sent_s + event.time_s;
      if (at > steady.begin_s && at <= steady.end_s) tokens += event.n_tokens;
    }
  }
  steady.output_rate = tokens / (steady.end_s - steady.begin_s);
  return steady;
}

LagCheck check_lag(const LoadTrace& trace) {
  std::vector<double> lags, ttft;
  for (const LoadRequest& request : trace.requests) {
    lags.push_back(request.dispatch_lag_s);
    if (request.timed()) ttft.push_back(request.first_token_s());
  }
  LagCheck check;
  if (lags.empty() || ttft.empty()) return check;
  check.lag_p99_s = percentile_linear(lags, 0.99);
  check.ttft_median_s = percentile_linear(ttft, 0.5);
  check.passed = check.lag_p99_s <= kLagShare * check.ttft_median_s;
  return check;
}

std::optional<size_t> knee(const std::vector<LoadLevel>& levels) {
  if (levels.size() < 2) return std::nullopt;
  for (size_t i = 1; i < levels.size(); ++i) {
    const double offered = levels[i].offered / levels[i - 1].offered - 1;
    const double gained = levels[i].output_rate / levels[i - 1].output_rate - 1;
    if (!(gained >= kStepPays * offered)) return i - 1;
  }
  return levels.size() - 1;
}

std::optional<size_t> slo_point(const std::vector<LoadLevel>& levels) {
  size_t kept = 0;
  while (kept < levels.size() && levels[kept].good_share >= kGoodShare) ++kept;
  return kept == 0 ? std::nullopt : std::optional(kept - 1);
}

}  // namespace ds4::reports
