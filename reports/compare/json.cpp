// A comparison as one JSON object; docs/schema.md describes it.
#include <nlohmann/json.hpp>

#include "reports/compare/comparison.h"
#include "reports/compare/traces_text.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

ordered_json optional_number(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json interval_json(const Interval& interval) {
  return {interval.lo, interval.hi};
}

ordered_json run_json(const RunRow& run) {
  return {{"id", run.id},
          {"profile", run.profile_name},
          {"commit", run.commit},
          {"started_at", run.started_at}};
}

ordered_json score_json(const ScoreChange& line, double margin) {
  const Difference& d = line.difference;
  return {{"verdict", line.headline ? ordered_json(word(line.test.change)) : ordered_json(nullptr)},
          {"cell", line.cell},
          {"suite", d.suite},
          {"score", d.score},
          {"base", d.reference},
          {"new", d.value},
          {"change", d.change},
          {"interval", interval_json(d.interval)},
          {"n", d.n},
          {"lost", d.lost},
          {"gained", d.gained},
          {"only_base", d.only_reference},
          {"only_new", d.only_value},
          {"p_exact", d.test.exact_p},
          {"p_mid", d.test.mid_p},
          {"counted", line.test.counted},
          {"p_adjusted", line.test.adjusted_p},
          {"detectable", optional_number(line.test.detectable)},
          {"no_worse",
           {{"margin", margin},
            {"lower_bound", line.no_worse.lower_bound},
            {"shown", line.no_worse.shown}}}};
}

ordered_json sample_json(const SampleChange& line) {
  return {{"verdict", word(line.test.change)},
          {"cell", line.cell},
          {"suite", line.suite},
          {"metric", line.metric},
          {"unit", line.unit},
          {"base", line.base},
          {"new", line.now},
          {"change", optional_number(line.change)},
          {"interval", line.interval ? interval_json(*line.interval) : ordered_json(nullptr)},
          {"n_base", line.n_base()},
          {"n_new", line.n_now()},
          {"launches_base", line.base_launches.size()},
          {"launches_new", line.now_launches.size()},
          {"noise", line.measured_noise ? "measured" : "assumed"},
          {"p", line.test.p},
          {"counted", line.test.counted},
          {"p_adjusted", line.test.adjusted_p},
          {"detectable", optional_number(line.test.detectable)}};
}

}  // namespace

std::string comparison_json(const Comparison& comparison) {
  ordered_json json = {{"format", "ds4-compare-1"},
                       {"base", run_json(comparison.base)},
                       {"new", run_json(comparison.now)},
                       {"alpha", comparison.settings.alpha},
                       {"power", comparison.settings.power},
                       {"launch_noise", comparison.settings.launch_noise},
                       {"regressions", comparison.count(Change::kRegression)},
                       {"improvements", comparison.count(Change::kImprovement)},
                       {"tests", comparison.n_tests},
                       {"exit_code", comparison.exit_code()}};
  json["environment"] = ordered_json::array();
  for (const EnvironmentDifference& d : comparison.environment) {
    json["environment"].push_back({{"what", d.what}, {"base", d.base}, {"new", d.now}});
  }
  json["endings"] = ordered_json::array();
  for (const Ending& ending : comparison.endings) {
    json["endings"].push_back({{"verdict", word(ending.change)},
                               {"cell", ending.cell},
                               {"kind", ending.kind},
                               {"outcome", ending.outcome},
                               {"phase", ending.phase},
                               {"message", ending.message},
                               {"cases", ending.n_cases}});
  }
  json["scores"] = ordered_json::array();
  for (const ScoreChange& line : comparison.scores) {
    json["scores"].push_back(score_json(line, comparison.settings.margin));
  }
  json["samples"] = ordered_json::array();
  for (const SampleChange& line : comparison.samples) json["samples"].push_back(sample_json(line));
  json["traces"] = ordered_json::parse(traces_json(comparison.traces));
  json["not_compared"] = comparison.not_compared;
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
