#include "reports/figures/twins.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "probes/metric.h"
#include "reports/figures/cell_choices.h"
#include "reports/stats/bootstrap.h"

namespace ds4::reports {

struct TwinCells {
  size_t n_cells = 0;  // it was made of
  std::vector<CellPairing> pairings;
  std::map<std::string, std::vector<std::string>> references;  // key -> keys
};

namespace {

using Prompt = std::pair<std::string, int64_t>;  // suite, prompt_id

const TwinCells& twin_cells(const RunData& run) {
  if (run.twin_cells && run.twin_cells->n_cells == run.cells.size()) return *run.twin_cells;
  TwinCells cells;
  cells.n_cells = run.cells.size();
  const Choices choices(run, {});
  for (size_t at = 0; at < run.cells.size() && !choices.empty(); ++at) {
    for (size_t axis = 0; axis < choices.n_axes(); ++axis) {
      const auto reference = choices.reference_of(axis, at);
      if (!reference) continue;
      cells.pairings.push_back({*reference, at, axis});
      cells.references[run.cells[at].key].push_back(run.cells[*reference].key);
    }
  }
  run.twin_cells = std::make_shared<const TwinCells>(std::move(cells));
  return *run.twin_cells;
}

// A cell's answers, in running order, and whose times count.
struct Answers {
  std::vector<const StoredAttempt*> all;
  std::vector<const StoredAttempt*> timed_ones;  // ascending

  bool timed(const StoredAttempt* attempt) const {
    return std::binary_search(timed_ones.begin(), timed_ones.end(), attempt);
  }
};

Answers answers_of(const RunData& run, const std::string& cell_key) {
  Answers answers;
  if (!run.cells.find(cell_key) || !facts_of(run, cell_key).greedy) return answers;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.status == "ok" && attempt.prompt_id != 0) answers.all.push_back(&attempt);
  }
  answers.timed_ones = timed_attempts(run, cell_key);  // in their order, and so ascending
  return answers;
}

std::optional<double> ratio_of(const Twins& twins, const char* metric) {
  if (!twins.timed) return std::nullopt;
  const auto first = attempt_metric(*twins.first, metric);
  const auto later = attempt_metric(*twins.later, metric);
  if (!first || !later || !(*first > 0)) return std::nullopt;
  return *later / *first;
}

}  // namespace

std::vector<Twins> twins_within(const RunData& run, const Selection& selection) {
  const Answers answers = answers_of(run, selection.cell_key);
  std::map<Prompt, const StoredAttempt*> of_cell;
  std::map<std::pair<Prompt, int>, const StoredAttempt*> of_launch;
  std::vector<Twins> pairs;
  for (const StoredAttempt* attempt : answers.all) {
    const Prompt prompt{attempt->suite, attempt->prompt_id};
    const StoredAttempt* first = of_cell.try_emplace(prompt, attempt).first->second;
    const auto [place, begins] = of_launch.try_emplace({prompt, attempt->launch}, attempt);
    if (!begins) first = place->second;
    if (first == attempt || !selection.matches(attempt->suite, attempt->tags)) continue;
    pairs.push_back({first, attempt, answers.timed(first) && answers.timed(attempt)});
  }
  return pairs;
}

std::vector<Twins> twins_across(const RunData& run, const Selection& selection,
                                const std::string& reference_key) {
  const Answers reference = answers_of(run, reference_key);
  std::map<Prompt, const StoredAttempt*> firsts;
  for (const StoredAttempt* attempt : reference.all) {
    firsts.try_emplace({attempt->suite, attempt->prompt_id}, attempt);
  }
  const Answers answers = answers_of(run, selection.cell_key);
  std::vector<Twins> pairs;
  for (const StoredAttempt* attempt : answers.all) {
    const auto first = firsts.find({attempt->suite, attempt->prompt_id});
    if (first == firsts.end() || !selection.matches(attempt->suite, attempt->tags)) continue;
    const bool timed = reference.timed(first->second) && answers.timed(attempt);
    pairs.push_back({first->second, attempt, timed});
  }
  return pairs;
}

std::vector<std::string> reference_cells(const RunData& run, const std::string& cell_key) {
  const auto& references = twin_cells(run).references;
  const auto found = references.find(cell_key);
  return found == references.end() ? std::vector<std::string>() : found->second;
}

std::vector<CellPairing> pairings(const RunData& run) {
  return twin_cells(run).pairings;
}

std::optional<double> twin_value(const Twins& twins, const std::string& metric) {
  if (metric == "agreement" || metric == "parity") return twins.agree() ? 1 : 0;
  // Launches differ in speed; what is asked is what an earlier request changes.
  if (metric == "ttft_ratio") return twins.same_launch() ? ratio_of(twins, "ttft") : std::nullopt;
  if (metric == "decode_ratio") return ratio_of(twins, "decode_rate");
  return std::nullopt;
}

bool is_across_cells(const std::string& metric) {
  return metric == "parity" || metric == "decode_ratio";
}

bool is_twin_metric(const std::string& metric) {
  return metric == "agreement" || metric == "ttft_ratio" || is_across_cells(metric);
}

std::optional<Figure> twin_figure(const std::vector<Twins>& pairs, const Selection& selection,
                                  const std::string& metric) {
  FigureData data;
  data.about = selection;
  data.name = metric;
  const probes::Metric& known = *probes::find_metric(metric);
  std::map<Prompt, std::vector<double>> by_prompt;
  std::vector<double> values;
  std::set<int64_t> ids;
  for (const Twins& twins : pairs) {
    const auto value = twin_value(twins, metric);
    if (!value) continue;
    values.push_back(*value);
    by_prompt[{twins.later->suite, twins.later->prompt_id}].push_back(*value);
    ids.insert({twins.first->id, twins.later->id});
  }
  if (values.empty()) return std::nullopt;
  data.attempt_ids.assign(ids.begin(), ids.end());
  if (!known.is_share) {
    data.unit = known.unit;
    data.kind = FigureKind::kMedian;
    data.n = std::ssize(values);
    data.value = median(values);
    data.interval = bootstrap_median_interval(values);
    return Figure(std::move(data));
  }
  data.n = std::ssize(by_prompt);
  for (const auto& [prompt, of_prompt] : by_prompt) {
    double sum = 0;
    for (const double value : of_prompt) sum += value;
    data.total += sum / static_cast<double>(of_prompt.size());
  }
  data.value = data.total / static_cast<double>(data.n);
  data.interval = wilson_interval(data.total, data.n);
  return Figure(std::move(data));
}

std::optional<Figure> twin_figure(const RunData& run, const Selection& selection,
                                  const std::string& metric) {
  std::vector<Twins> pairs;
  if (is_across_cells(metric)) {
    for (const std::string& key : reference_cells(run, selection.cell_key)) {
      const std::vector<Twins> more = twins_across(run, selection, key);
      pairs.insert(pairs.end(), more.begin(), more.end());
    }
  } else {
    pairs = twins_within(run, selection);
  }
  return twin_figure(pairs, selection, metric);
}

}  // namespace ds4::reports
