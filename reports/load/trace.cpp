#include "reports/load/trace.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace ds4::reports {
namespace {

std::optional<double> sample_of(const AttemptRow& attempt, std::string_view metric) {
  for (const probes::Sample& sample : attempt.samples) {
    if (sample.metric == metric) return sample.value;
  }
  return std::nullopt;
}

std::optional<bool> verdict_of(const StoredAttempt& attempt) {
  if (!attempt.score || attempt.score->grade == "invalid") return std::nullopt;
  return attempt.score->grade == "correct";
}

}  // namespace

double LoadRequest::first_token_s() const {
  for (const EventRow& event : events) {
    if (event.n_tokens > 0) return event.time_s;
  }
  return -1;
}

double LoadTrace::offered_level() const {
  return std::stod(level);
}

double LoadTrace::duration_s() const {
  double end = 0;
  for (const LoadRequest& request : requests) end = std::max(end, request.sent_s + request.end_s);
  return end;
}

std::vector<LoadTrace> load_traces(const RunData& run) {
  using Key = std::tuple<size_t, std::string, int, std::string, double>;
  std::map<Key, LoadTrace> traces;
  for (size_t c = 0; c < run.cells.size(); ++c) {
    const std::string& key = run.cells[c].key;
    const std::set<int> invalid = invalid_launches(run, key);
    for (const StoredAttempt& attempt : run.attempts.of(key)) {
      if (attempt.status == "cancelled") continue;
      const auto scheduled = sample_of(attempt, "scheduled_at");
      if (!scheduled || attempt.tags.contains("part")) continue;
      const char* way = attempt.tags.contains("rate") ? "rate" : "concurrency";
      const auto level = attempt.tags.find(way);
      if (level == attempt.tags.end()) continue;
      LoadTrace& trace = traces[{c, attempt.suite, attempt.launch, way, std::stod(level->second)}];
      trace.cell_key = key;
      trace.suite = attempt.suite;
      trace.way = way;
      trace.level = level->second;
      trace.launch = attempt.launch;
      trace.valid_launch = !invalid.contains(attempt.launch);
      trace.requests.push_back({attempt.id, attempt.status == "ok", *scheduled,
                                sample_of(attempt, "sent_at").value_or(*scheduled),
                                sample_of(attempt, "dispatch_lag").value_or(0), attempt.events,
                                attempt.end_s, attempt.prompt_tokens, attempt.completion_tokens,
                                attempt.cached_tokens, verdict_of(attempt)});
    }
  }
  std::vector<LoadTrace> sorted;
  for (auto& [key, trace] : traces) {
    std::stable_sort(trace.requests.begin(), trace.requests.end(),
                     [](const auto& a, const auto& b) { return a.scheduled_s < b.scheduled_s; });
    sorted.push_back(std::move(trace));
  }
  return sorted;
}

bool Slo::kept(double ttft, double tpot, double e2el) const {
  return !(ttft_s && ttft > *ttft_s) && !(tpot_s && tpot > *tpot_s) && !(e2el_s && e2el > *e2el_s);
}

Slo slo_of(const CellRow& cell, const std::string& suite) {
  Slo slo;
  const auto settings = nlohmann::json::parse(cell.settings, nullptr, false);
  if (settings.is_discarded() || !settings.contains("profile")) return slo;
  for (const auto& section : settings["profile"].value("suites", nlohmann::json::array())) {
    if (section.value("name", "") != suite || !section.contains("parameters")) continue;
    const auto bound = [&](const char* name) -> std::optional<double> {
      const auto found = section["parameters"].find(name);
      if (found == section["parameters"].end()) return std::nullopt;
      const double ms = found->value("value", 0.0);
      return ms > 0 ? std::optional(ms * 1e-3) : std::nullopt;
    };
    slo = {bound("slo_ttft_ms"), bound("slo_tpot_ms"), bound("slo_e2el_ms")};
  }
  return slo;
}

}  // namespace ds4::reports
