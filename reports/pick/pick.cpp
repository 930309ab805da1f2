#include "reports/pick/pick.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "reports/compare/lines.h"
#include "reports/figures/cell_facts.h"
#include "reports/figures/difference.h"
#include "reports/figures/figure.h"
#include "reports/figures/format.h"
#include "reports/published/published.h"
#include "reports/stats/launches.h"

namespace ds4::reports {
namespace {

constexpr std::array kCriteria{Criterion::kDecode, Criterion::kPrefill, Criterion::kQuality,
                               Criterion::kMemory};
constexpr double kSameMemory = 0.01;  // one reading per launch: what differs by less is the same

const char* metric_of(Criterion criterion) {
  return criterion == Criterion::kDecode ? "decode_rate" : "prefill_rate";
}

bool less_is_better(Criterion criterion) {
  return criterion == Criterion::kMemory;
}

// At least as good, by the point estimates.
bool as_good(Criterion criterion, double a, double b) {
  return less_is_better(criterion) ? a <= b : a >= b;
}

using Values = std::array<std::optional<double>, kCriteria.size()>;

// A criterion that one of the two was not measured on does not tell them apart.
bool dominates(const Values& a, const Values& b) {
  bool better = false;
  for (size_t i = 0; i < kCriteria.size(); ++i) {
    if (!a[i] || !b[i]) continue;
    if (!as_good(kCriteria[i], *a[i], *b[i])) return false;
    better = better || *a[i] != *b[i];
  }
  return better;
}

void mark_frontier(std::vector<Candidate>& candidates) {
  std::vector<Values> fit;
  std::vector<Candidate*> owners;
  for (Candidate& c : candidates) {
    if (!c.unfit.empty()) continue;
    owners.push_back(&c);
    Values& values = fit.emplace_back();
    for (size_t i = 0; i < kCriteria.size(); ++i) values[i] = c.values.at(kCriteria[i]).value;
  }
  for (size_t at = 0; at < fit.size(); ++at) {
    owners[at]->on_frontier = std::none_of(fit.begin(), fit.end(),
                                           [&](const Values& v) { return dominates(v, fit[at]); });
  }
}

std::optional<size_t> best(const Pick& pick, Criterion criterion, const std::vector<size_t>& left) {
  std::optional<size_t> found;
  for (const size_t i : left) {
    const auto& value = pick.candidates[i].values.at(criterion).value;
    if (!value) continue;
    if (!found ||
        !as_good(criterion, *pick.candidates[*found].values.at(criterion).value, *value)) {
      found = i;
    }
  }
  return found;
}

void append(Launches& all, const Launches& more) {
  if (all.size() < more.size()) all.resize(more.size());
  for (size_t i = 0; i < more.size(); ++i) {
    all[i].insert(all[i].end(), more[i].begin(), more[i].end());
  }
}

}  // namespace

Picker::Picker(const RunData& run) : run_(run), judging_(judging_of(run.run)) {
  std::vector<ScoresOfSuites> scores;
  std::map<std::string, int64_t> n_complete_with;  // by suite
  int64_t n_complete = 0;
  for (const CellRow& cell : run_.cells) {
    const CellStatus status = cell_status(run_, cell);
    scores.push_back(scores_of(cell));
    candidates_.emplace_back().cell = without_cases(cell);
    if (!status.complete()) {
      candidates_.back().unfit = std::to_string(status.n_ok) + " of " +
                                 std::to_string(status.n_planned) + " cases answered (" +
                                 status.outcome + ")";
      continue;
    }
    ++n_complete;
    for (const auto& [suite, s] : scores.back()) ++n_complete_with[suite];
  }
  for (const auto& [suite, n] : n_complete_with) {
    if (n == n_complete) suites_.push_back(suite);
  }
  for (size_t i = 0; i < candidates_.size(); ++i) {
    Candidate& c = candidates_[i];
    c.context = facts_of(run_).cells[i].context_length;
    for (const Criterion criterion : kCriteria) c.values[criterion];
    c.values[Criterion::kQuality] = quality(scores[i]);
    c.values[Criterion::kMemory] = memory(c.cell);
    for (const Criterion speed : {Criterion::kDecode, Criterion::kPrefill}) {
      if (const auto figure = metric_figure(run_, {c.cell.key, "", {}}, metric_of(speed))) {
        c.values[speed] = {(*figure)->value, (*figure)->interval, (*figure)->n};
      }
    }
  }
}

Pick Picker::pick(const Need& need, const std::set<size_t>& among) const {
  for (const auto& [suite, least] : need.min_quality) {
    if (judging_.scores.contains(suite)) continue;
    std::string known;
    for (const auto& [name, scores] : judging_.scores) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::kUsage, "the run has no suite `" + suite + "`",
                "Its suites: " + known + ".");
  }
  Pick pick;
  pick.run = run_.run;
  pick.need = need;
  pick.candidates = candidates_;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    Candidate& c = pick.candidates[i];
    if (c.unfit.empty() && !among.empty() && !among.contains(i)) c.unfit = "left out";
    if (c.unfit.empty()) c.unfit = unfit(c, need);
    if (c.unfit.empty()) c.remark = remark(c.cell, need);
  }
  mark_frontier(pick.candidates);
  choose(pick);
  return pick;
}

std::string Picker::headline(const std::string& suite) const {
  const auto found = judging_.scores.find(suite);
  return found == judging_.scores.end() || found->second.empty() ? "" : found->second.front();
}

Picker::ScoresOfSuites Picker::scores_of(const CellRow& cell) const {
  ScoresOfSuites scores;
  for (const std::string& suite : suites_of(run_, cell.key)) {
    const std::string score = headline(suite);
    if (score.empty()) continue;
    const auto figure = score_figure(run_, {cell.key, suite, {}}, score);
    if (figure && (*figure)->n > 0) scores[suite] = {(*figure)->total, (*figure)->n};
  }
  return scores;
}

// The mean headline score over the cases of the common suites; nothing where one is missing.
PickValue Picker::quality(const ScoresOfSuites& scores) const {
  double total = 0;
  int64_t n = 0;
  for (const std::string& suite : suites_) {
    const auto found = scores.find(suite);
    if (found == scores.end()) return {};
    total += found->second.total;
    n += found->second.n;
  }
  if (n == 0) return {};
  return {total / static_cast<double>(n), wilson_interval(total, n), n};
}

// All there is of it: process and GPU together where they share one memory, else the GPU's where
// the engine used one.
PickValue Picker::memory(const CellRow& cell) const {
  const auto process = metric_figure(run_, {cell.key, "", {}}, "peak_memory");
  const auto device = metric_figure(run_, {cell.key, "", {}}, "device_memory");
  const bool shared = hardware_class(run_.run.machine) == "spark";
  if (device && (*device)->value) {
    const double beside = shared && process ? (*process)->value.value_or(0) : 0;
    return {*(*device)->value + beside, std::nullopt, (*device)->n};
  }
  if (!process) return {};
  return {(*process)->value, std::nullopt, (*process)->n};
}

std::string Picker::unfit(const Candidate& c, const Need& need) const {
  if (c.context < need.context) {
    return "context of " + std::to_string(c.context) + " tokens";
  }
  const auto& bytes = c.values.at(Criterion::kMemory).value;
  if (need.max_memory && !bytes) return "no reading of its memory";
  if (need.max_memory && *bytes > static_cast<double>(*need.max_memory)) {
    return format_value("B", *bytes) + " of memory";
  }
  for (const auto& [suite, least] : need.min_quality) {
    const auto figure = score_figure(run_, {c.cell.key, suite, {}}, headline(suite));
    if (!figure || !(*figure)->value) return "no verdict on " + suite;
    if (*(*figure)->value < least) {
      return suite + " " + format_value(**figure) + " (95 %: " + format_interval(**figure) + ")";
    }
  }
  return "";
}

std::string Picker::remark(const CellRow& cell, const Need& need) const {
  for (const auto& [suite, least] : need.min_quality) {
    const auto figure = score_figure(run_, {cell.key, suite, {}}, headline(suite));
    if ((*figure)->interval->lo < least) {
      return suite + " " + format_value(**figure) + ", but its interval (" +
             format_interval(**figure) + ") reaches below " + format_value("", least);
    }
  }
  return "";
}

// The best by the preferred criterion, then those that cannot be told from it by the next, ...
void Picker::choose(Pick& pick) const {
  std::vector<size_t> left;
  for (size_t i = 0; i < pick.candidates.size(); ++i) {
    if (pick.candidates[i].on_frontier) left.push_back(i);
  }
  const auto n_fit = std::count_if(pick.candidates.begin(), pick.candidates.end(),
                                   [](const Candidate& c) { return c.unfit.empty(); });
  pick.reasons.push_back(std::to_string(n_fit) + " of " + std::to_string(pick.candidates.size()) +
                         " cells meet the need, " + std::to_string(left.size()) +
                         " on the frontier of quality, memory, decode and prefill");
  if (left.empty()) return;
  std::vector<Criterion> order{pick.need.prefer};
  for (const Criterion criterion :
       {Criterion::kQuality, Criterion::kMemory, Criterion::kDecode, Criterion::kPrefill}) {
    if (criterion != pick.need.prefer) order.push_back(criterion);
  }
  for (const Criterion criterion : order) {
    if (left.size() == 1) break;
    narrow(criterion, pick, left);
  }
  // What is left cannot be told apart in anything: the estimate of the preferred decides.
  pick.winner = best(pick, pick.need.prefer, left).value_or(left.front());
  if (left.size() > 1) {
    pick.reasons.push_back("the others left are not separable from it in anything; its " +
                           std::string(word(pick.need.prefer)) + " is the best estimate");
  }
}

void Picker::narrow(Criterion criterion, Pick& pick, std::vector<size_t>& left) const {
  const std::optional<size_t> top = best(pick, criterion, left);
  if (!top) return;
  std::vector<size_t> kept;
  for (const size_t i : left) {
    if (i == *top ||
        !difference(criterion, pick.candidates[*top], pick.candidates[i], pick.need.launch_noise)
             .separable) {
      kept.push_back(i);
    }
  }
  const Candidate& first = pick.candidates[*top];
  std::string reason = std::string(word(criterion)) + ": best is " + first.cell.label;
  if (kept.size() == left.size()) {
    reason +=
        ", and none of the other " + std::to_string(left.size() - 1) + " is separable from it";
  } else {
    reason += "; " + std::to_string(left.size() - kept.size()) + " shown to be worse";
    if (kept.size() > 1) {
      reason += ", " + std::to_string(kept.size() - 1) + " not separable";
    }
  }
  pick.reasons.push_back(std::move(reason));
  left = std::move(kept);
}

PickDifference Picker::difference(Criterion criterion, const Candidate& reference,
                                  const Candidate& other, double launch_noise) const {
  if (criterion == Criterion::kQuality) return quality_difference(reference.cell, other.cell);
  if (criterion == Criterion::kMemory) {
    const auto& a = reference.values.at(criterion).value;
    const auto& b = other.values.at(criterion).value;
    if (!a || !b || *a <= 0) return {};
    const double change = *b / *a - 1;
    return {change, std::nullopt, std::abs(change) > kSameMemory};
  }
  return speed_difference(metric_of(criterion), reference.cell, other.cell, launch_noise);
}

PickDifference Picker::quality_difference(const CellRow& reference, const CellRow& other) const {
  double sum = 0, squares = 0;
  int64_t n = 0;
  for (const std::string& suite : suites_) {
    const auto d =
        score_difference({run_, reference.key}, {run_, other.key}, suite, headline(suite));
    if (!d) continue;
    sum += d->change * static_cast<double>(d->n);
    squares += d->sum_of_squares;
    n += d->n;
  }
  if (n == 0) return {};
  const Interval interval = paired_difference_interval(sum, squares, n);
  return {sum / static_cast<double>(n), interval, interval.lo > 0 || interval.hi < 0};
}

PickDifference Picker::speed_difference(const std::string& metric, const CellRow& reference,
                                        const CellRow& other, double launch_noise) const {
  Launches before, after;
  for (const std::string& suite : suites_of(run_, other.key)) {
    const auto shared = shared_cases(run_, reference.key, run_, other.key, suite);
    append(before, attempt_values(run_, reference.key, suite, metric, shared));
    append(after, attempt_values(run_, other.key, suite, metric, shared));
  }
  const auto ratio = launch_ratio_interval(before, after, {launch_noise});
  if (!ratio) return {};
  const double change = *median(pooled(after)) / *median(pooled(before)) - 1;
  return {change, Interval{ratio->lo - 1, ratio->hi - 1}, ratio->lo > 1 || ratio->hi < 1};
}

const char* word(Criterion criterion) {
  switch (criterion) {
    case Criterion::kDecode:
      return "decode";
    case Criterion::kPrefill:
      return "prefill";
    case Criterion::kQuality:
      return "quality";
    case Criterion::kMemory:
      return "memory";
  }
  return "";
}

Pick pick_cell(const RunData& run, const Need& need) {
  const Picker picker(run);
  Pick pick = picker.pick(need);
  if (!pick.winner) return pick;
  for (size_t i = 0; i < pick.candidates.size(); ++i) {
    if (i == *pick.winner) continue;
    for (const Criterion criterion : kCriteria) {
      pick.candidates[i].against_pick[criterion] = picker.difference(
          criterion, pick.candidates[*pick.winner], pick.candidates[i], need.launch_noise);
    }
  }
  return pick;
}

}  // namespace ds4::reports
