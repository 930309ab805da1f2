#include "reports/load/summary.h"

#include <algorithm>

#include "reports/figures/format.h"

namespace ds4::reports {
namespace {

LoadSummary summarise(const LoadTrace& trace, const Slo& slo) {
  LoadSummary out;
  out.cell_key = trace.cell_key;
  out.suite = trace.suite;
  out.way = trace.way;
  out.level = trace.level;
  out.launch = trace.launch;
  out.valid_launch = trace.valid_launch;
  out.lag = check_lag(trace);
  out.window = steady_window(trace);
  out.figures = all_load_figures(trace, slo);
  out.has_slo = slo.any();
  for (const LoadRequest& request : trace.requests) {
    out.attempt_ids.push_back(request.attempt_id);
    ++out.offered;
    out.answered += request.ok;
    out.cached += request.cached_tokens > 0;
    out.with_verdict += request.ok && request.correct.has_value();
    out.correct += request.ok && request.correct.value_or(false);
  }
  std::sort(out.attempt_ids.begin(), out.attempt_ids.end());
  return out;
}

double mean_of(const LoadSummary& load, const char* name, double otherwise) {
  const LoadFigure* figure = find_figure(load.figures, "ds4", name);
  return figure ? figure->mean : otherwise;
}

// A level that does not count would bend the curve: then nothing is said of it.
void mark_curve(std::vector<LoadSummary>& all, size_t first, size_t last) {
  std::vector<LoadLevel> levels;
  for (size_t i = first; i < last; ++i) {
    if (!all[i].invalid_reason().empty()) return;
    const double whole = mean_of(all[i], "output_throughput", 0);
    levels.push_back({std::stod(all[i].level), mean_of(all[i], "steady_output_throughput", whole),
                      mean_of(all[i], "goodput_share", 1)});
  }
  if (const auto place = knee(levels)) all[first + *place].is_knee = true;
  const auto point = all[first].has_slo ? slo_point(levels) : std::nullopt;
  if (point) all[first + *point].is_slo_point = true;
}

}  // namespace

std::string LoadSummary::invalid_reason() const {
  if (!valid_launch) return "the launch does not count";
  if (lag.passed) return "";
  return "handed over late: p99 " + format_value("s", lag.lag_p99_s) +
         ", above 1 % of the TTFT of " + format_value("s", lag.ttft_median_s);
}

std::vector<LoadSummary> summarise_loads(const RunData& run) {
  std::vector<LoadSummary> all;
  for (const LoadTrace& trace : load_traces(run)) {
    all.push_back(summarise(trace, slo_of(*run.cells.find(trace.cell_key), trace.suite)));
  }
  for (size_t first = 0, last = 0; first < all.size(); first = last) {
    const auto same = [&](const LoadSummary& other) {
      return other.cell_key == all[first].cell_key && other.suite == all[first].suite &&
             other.launch == all[first].launch && other.way == all[first].way;
    };
    while (last < all.size() && same(all[last])) ++last;
    mark_curve(all, first, last);
  }
  return all;
}

}  // namespace ds4::reports
