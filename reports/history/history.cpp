#include "reports/history/history.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "probes/metric.h"
#include "reports/figures/machine.h"
#include "reports/verdict/verdict.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

constexpr size_t kShortHash = 12;

std::map<std::string, std::string> environment_of(const RunRow& run) {
  std::map<std::string, std::string> parts = {
      {"version", run.version},
      {"commit", run.commit.substr(0, kShortHash) + (run.dirty ? ", modified" : "")},
      {"profile", sha256_hex(run.profile_text).substr(0, kShortHash)},
      {"checkpoint", run.checkpoint_identity.substr(0, kShortHash)}};
  const json machine = json::parse(run.machine, nullptr, false);
  if (!machine.is_object()) return parts;
  for (const auto& [key, value] : machine.items()) {
    parts["machine." + key] = value.is_string()
                                  ? value.get<std::string>()
                                  : value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  return parts;
}

std::vector<std::string> changes_between(const HistoryRun& before, const HistoryRun& now) {
  std::vector<std::string> changed;
  std::set<std::string> names;
  for (const HistoryRun* run : {&before, &now}) {
    for (const auto& [name, value] : run->environment) names.insert(name);
  }
  const auto value_of = [](const HistoryRun& run, const std::string& name) {
    const auto found = run.environment.find(name);
    return found == run.environment.end() || found->second.empty() ? "nothing" : found->second;
  };
  for (const std::string& name : names) {
    const std::string was = value_of(before, name), is = value_of(now, name);
    if (was != is) changed.push_back(name + " " + was + " -> " + is);
  }
  return changed;
}

std::vector<HistoryRun> runs_of(Store& store, const RunRow& last, size_t n) {
  std::vector<HistoryRun> runs;
  bool reached = false;
  for (const RunRow& run : store.runs()) {  // newest first
    reached = reached || run.id == last.id;
    if (!reached || runs.size() == n) continue;
    const bool same = run.profile_name == last.profile_name && run.shard == last.shard &&
                      machine_kind(run.machine) == machine_kind(last.machine);
    if (same && !run.finished_at.empty()) runs.push_back({run, environment_of(run), {}});
  }
  std::reverse(runs.begin(), runs.end());
  for (size_t i = 1; i < runs.size(); ++i) {
    runs[i].changed = changes_between(runs[i - 1], runs[i]);
  }
  return runs;
}

int direction_of(const std::string& name) {
  const probes::Metric* metric = probes::find_metric(name);
  if (!metric || metric->direction == probes::Direction::kHigherIsBetter) return 1;
  return metric->direction == probes::Direction::kLowerIsBetter ? -1 : 0;
}

// The figures of all runs, in the order in which they are first seen.
class Collector {
 public:
  explicit Collector(size_t n_runs) : n_runs_(n_runs) {}

  void add(const RunData& run, size_t at) {
    const Judging judging = judging_of(run.run);
    for (const CellRow& cell : run.cells) {
      bool has_speed = false;
      for (const std::string& suite : suites_of(run, cell.key)) {
        has_speed = has_speed || suite == "speed";
        const auto scores = judging.scores.find(suite);
        if (scores == judging.scores.end() || scores->second.empty()) continue;
        add(run, at, cell, suite, scores->second.front());
      }
      for (const char* rate : {"prefill_rate", "decode_rate"}) {
        add(run, at, cell, has_speed ? "speed" : "", rate);
      }
      add(run, at, cell, "", "peak_memory");
    }
  }

  std::vector<HistoryFigure> take() { return std::move(figures_); }

 private:
  void add(const RunData& run, size_t at, const CellRow& cell, const std::string& suite,
           const std::string& name) {
    const auto figure = make_figure(run, {cell.key, suite, {}}, name);
    if (!figure || !(*figure)->value) return;
    const auto [place, is_new] = places_.try_emplace({cell.label, suite, name}, figures_.size());
    if (is_new) {
      figures_.push_back({cell.label, suite, name, (*figure)->unit, direction_of(name), {}, {}});
      figures_.back().runs.resize(n_runs_);
    }
    figures_[place->second].runs[at] = **figure;
  }

  size_t n_runs_;
  std::vector<HistoryFigure> figures_;
  std::map<std::vector<std::string>, size_t> places_;
};

// The values that there are, and the runs they are of.
struct Series {
  std::vector<double> values;
  std::vector<size_t> runs;
};

Series series_of(const HistoryFigure& figure) {
  Series series;
  for (size_t i = 0; i < figure.runs.size(); ++i) {
    if (!figure.runs[i]) continue;
    series.values.push_back(*figure.runs[i]->value);
    series.runs.push_back(i);
  }
  return series;
}

void mark_changes(History& history) {
  for (const HistoryFigure& figure : history.figures) {
    history.n_tests += series_of(figure).values.size() >= kLeastSeries;
  }
  for (HistoryFigure& figure : history.figures) {
    const Series series = series_of(figure);
    if (series.values.size() < kLeastSeries) continue;
    figure.changes = change_points(series.values, history.alpha / history.n_tests);
    for (ChangePoint& change : figure.changes) change.at = series.runs[change.at];
  }
}

}  // namespace

int History::n_changes() const {
  int n = 0;
  for (const HistoryFigure& figure : figures) n += static_cast<int>(figure.changes.size());
  return n;
}

History load_history(Store& store, const std::string& run_id, size_t n) {
  const RunRow last = store.run(run_id);
  History history;
  history.runs = runs_of(store, last, n);
  if (history.runs.size() < 2) {
    throw Error(ErrorCode::kUsage,
                "no history: the database has " + std::to_string(history.runs.size()) +
                    " finished runs of profile `" + last.profile_name +
                    "` on this machine up to run " + last.id.substr(0, 8),
                "Run the profile again into the same database, or name another run; "
                "`ds4-sweep list runs` shows them.");
  }
  Collector collector(history.runs.size());
  for (size_t i = 0; i < history.runs.size(); ++i) {
    collector.add(load_run(store, history.runs[i].run.id, false), i);
  }
  history.figures = collector.take();
  mark_changes(history);
  return history;
}

}  // namespace ds4::reports
