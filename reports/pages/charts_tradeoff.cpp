// The page's centre: what quality costs in memory and in speed, and which cell to deploy. Measured
// and judged as `ds4-sweep pick` does (docs/gates.md).
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "engine/base/checkpoint_name.h"
#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/figures/memory_budget.h"
#include "reports/pages/build.h"
#include "reports/pick/pick.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostCells = 24;   // with more, the frontiers and
constexpr size_t kBestCells = 12;   // the best by quality
constexpr double kLeastAxis = 0.1;  // of quality, where all is equally good
constexpr double kGiB = 1024.0 * 1024 * 1024;

// One of the two pictures: quality against a criterion.
struct Panel {
  Criterion against;
  const char* id;
  const char* title;
  const char* axis;
  const char* column;
  const char* most;  // what the best of those that are equally good does
  double scale;      // of the axis, per unit of the value
  const char* unit;
};
constexpr std::array<Panel, 2> kPanels = {
    {{Criterion::kMemory, "quality-memory", "What does quality cost in memory?", "peak memory, GiB",
      "peak memory", "takes least", 1 / kGiB, "B"},
     {Criterion::kDecode, "quality-decode", "What does quality cost in speed?", "decode tok/s",
      "decode tok/s", "decodes fastest", 1, "tok/s"}}};

const PickValue& value(const Candidate& c, Criterion criterion) {
  return c.values.at(criterion);
}

bool measured(const Candidate& c, Criterion criterion) {
  return c.unfit.empty() && value(c, Criterion::kQuality).value && value(c, criterion).value;
}

bool better(Criterion criterion, double a, double b) {
  return criterion == Criterion::kMemory ? a < b : a > b;
}

// The cells that no other beats in both, from the best by the criterion to the worst: a step line.
std::vector<size_t> frontier(const std::vector<Candidate>& cells, Criterion criterion) {
  std::vector<size_t> order;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (measured(cells[i], criterion)) order.push_back(i);
  }
  const auto x = [&](size_t i) { return *value(cells[i], criterion).value; };
  const auto quality = [&](size_t i) { return *value(cells[i], Criterion::kQuality).value; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return x(a) != x(b) ? better(criterion, x(a), x(b)) : quality(a) > quality(b);
  });
  std::vector<size_t> on_it;
  for (const size_t i : order) {
    if (on_it.empty() || quality(i) > quality(on_it.back())) on_it.push_back(i);
  }
  return on_it;
}

// The quality of a cell beside that of the best one, case by case.
struct Against {
  size_t best = 0;
  std::map<size_t, PickDifference> of;  // the other shown cells
  bool not_separable(size_t i) const { return i == best || !of.at(i).separable; }
};

class Tradeoff {
 public:
  Tradeoff(const PageContext& context, const Picker& picker)
      : context_(context), picker_(picker), cells_(picker.candidates()) {
    for (const Panel& panel : kPanels) frontiers_.push_back(frontier(cells_, panel.against));
    choose_shown();
    compare();
    fit_axis();
  }

  size_t n_measured() const { return n_measured_; }
  const std::set<size_t>& shown() const { return shown_; }

  void add_to(Section& section) const {
    for (size_t i = 0; i < kPanels.size(); ++i) {
      if (frontiers_[i].empty()) continue;
      section.charts.push_back(chart(kPanels[i], frontiers_[i]));
    }
  }

 private:
  void choose_shown() {
    std::vector<size_t> by_quality;
    for (size_t i = 0; i < cells_.size(); ++i) {
      const bool any = std::any_of(kPanels.begin(), kPanels.end(), [&](const Panel& panel) {
        return measured(cells_[i], panel.against);
      });
      if (any) by_quality.push_back(i);
    }
    n_measured_ = by_quality.size();
    std::stable_sort(by_quality.begin(), by_quality.end(), [&](size_t a, size_t b) {
      return *value(cells_[a], Criterion::kQuality).value >
             *value(cells_[b], Criterion::kQuality).value;
    });
    if (!by_quality.empty()) against_.best = by_quality.front();
    if (by_quality.size() > kMostCells) {
      by_quality.resize(kBestCells);
      for (const auto& line : frontiers_) shown_.insert(line.begin(), line.end());
    }
    shown_.insert(by_quality.begin(), by_quality.end());
  }

  void compare() {
    for (const size_t i : shown_) {
      if (i == against_.best) continue;
      against_.of[i] = picker_.difference(Criterion::kQuality, cells_[against_.best], cells_[i]);
    }
  }

  // Both pictures have the same axis of quality: tenths that hold every interval, one at least.
  void fit_axis() {
    double lo = 1, hi = 0;
    for (const size_t i : shown_) {
      const PickValue& quality = value(cells_[i], Criterion::kQuality);
      lo = std::min(lo, quality.interval ? quality.interval->lo : *quality.value);
      hi = std::max(hi, quality.interval ? quality.interval->hi : *quality.value);
    }
    const double low = std::max(0.0, std::min(std::floor(lo * 10) / 10, 1 - kLeastAxis));
    quality_axis_ = {"quality", false, low,
                     std::max(std::min(1.0, std::ceil(hi * 10) / 10), low + kLeastAxis)};
  }

  Chart chart(const Panel& panel, const std::vector<size_t>& line) const {
    Chart chart;
    chart.id = panel.id;
    chart.title = panel.title;
    chart.answer = answer(panel);
    chart.x = {panel.axis};
    chart.y = quality_axis_;
    chart.table = {table_caption(),
                   {{"cell"},
                    {"quality", true},
                    {"95 %", true},
                    {"n", true},
                    {"against the best"},
                    {panel.column, true},
                    {"95 %", true},
                    {"n", true},
                    {"place"}},
                   {}};
    const std::set<size_t> on_line(line.begin(), line.end());
    for (const size_t i : shown_) {
      if (!measured(cells_[i], panel.against)) continue;
      const bool on_it = on_line.contains(i);
      add_mark(chart, panel, i, on_it);
      add_row(chart.table, panel, i, on_it);
    }
    // Last, so that the marks lie above it.
    ChartSeries steps{"frontier", "", ChartForm::kSteps};
    for (const size_t i : line) {
      if (shown_.contains(i)) steps.points.push_back(mark(panel, i));
    }
    chart.series.push_back(std::move(steps));
    if (panel.against == Criterion::kMemory) add_budget(chart);
    return chart;
  }

  ChartPoint mark(const Panel& panel, size_t i) const {
    const Candidate& c = cells_[i];
    return {*value(c, panel.against).value * panel.scale, *value(c, Criterion::kQuality).value};
  }

  void add_mark(Chart& chart, const Panel& panel, size_t i, bool on_frontier) const {
    const Candidate& c = cells_[i];
    const std::string key = chart_key(context_.run, c.cell);
    auto series = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const ChartSeries& s) { return s.key == key; });
    if (series == chart.series.end()) {
      chart.series.push_back({key, key, ChartForm::kPoints});
      series = chart.series.end() - 1;
    }
    ChartPoint point = mark(panel, i);
    point.y_interval = value(c, Criterion::kQuality).interval;
    if (const auto& x = value(c, panel.against).interval) {
      point.x_interval = Interval{x->lo * panel.scale, x->hi * panel.scale};
    }
    point.label = point.cell = c.cell.label;
    point.note = std::to_string(value(c, Criterion::kQuality).n) + " cases" +
                 (on_frontier ? ", on the frontier" : ", dominated");
    point.faint = !on_frontier;
    series->points.push_back(std::move(point));
  }

  void add_row(Table& table, const Panel& panel, size_t i, bool on_frontier) const {
    const Candidate& c = cells_[i];
    const PickValue& quality = value(c, Criterion::kQuality);
    const PickValue& other = value(c, panel.against);
    const auto range = [](const PickValue& v, const char* unit) {
      return v.interval ? TableCell{format_value(unit, v.interval->lo) + " to " +
                                    format_value(unit, v.interval->hi)}
                        : nothing();
    };
    table.rows.push_back({{c.cell.label},
                          {format_value("", *quality.value)},
                          range(quality, ""),
                          {std::to_string(quality.n)},
                          {against_text(i)},
                          {format_value(panel.unit, *other.value)},
                          range(other, panel.unit),
                          {std::to_string(other.n)},
                          {on_frontier ? "frontier" : "dominated"}});
  }

  std::string against_text(size_t i) const {
    if (i == against_.best) return "best";
    const PickDifference& d = against_.of.at(i);
    if (!d.change) return "no case in common";
    const std::string text = (*d.change > 0 ? "+" : "") + format_value("", *d.change);
    return text + (d.separable ? "" : ", not separable");
  }

  std::string table_caption() const {
    std::string text = "Quality is the mean headline score over all cases of ";
    for (size_t i = 0; i < picker_.suites().size(); ++i) {
      text += (i == 0 ? "" : ", ") + picker_.suites()[i];
    }
    text += "; against the best: the difference over the cases that both answered.";
    if (shown_.size() < n_measured_) {
      text += " Shown are the frontiers and the " + std::to_string(kBestCells) +
              " best by quality; " + std::to_string(n_measured_ - shown_.size()) +
              " more cells are in the table of scores.";
    }
    return text;
  }

  // "K180 has the best quality, 0.912; others shown: 2 worse on the same cases, 3 not separable
  // from it. Of these and it K160 takes least: 84.2 GiB against 98.1 GiB."
  std::string answer(const Panel& panel) const {
    const Candidate& best = cells_[against_.best];
    size_t n_others = 0, n_equal = 0, n_ties = 0;
    std::optional<size_t> cheapest;
    for (const size_t i : shown_) {
      if (!measured(cells_[i], panel.against)) continue;
      n_others += i != against_.best;
      n_ties += i != against_.best && *value(cells_[i], Criterion::kQuality).value ==
                                          *value(best, Criterion::kQuality).value;
      if (!against_.not_separable(i)) continue;
      n_equal += i != against_.best;
      if (!cheapest || better(panel.against, *value(cells_[i], panel.against).value,
                              *value(cells_[*cheapest], panel.against).value)) {
        cheapest = i;
      }
    }
    std::string text = best.cell.label + " has the best quality, " +
                       format_value("", *value(best, Criterion::kQuality).value);
    if (n_ties > 0) text += " (and " + std::to_string(n_ties) + " more have it)";
    if (n_others == 0) return text + ", and nothing to compare it with.";
    text += "; others shown: " + std::to_string(n_others - n_equal) + " worse on the same cases, " +
            std::to_string(n_equal) + " not separable from it.";
    if (!cheapest || n_equal == 0) return text;
    const auto amount = [&](const Candidate& c) {
      return format_value(panel.unit, *value(c, panel.against).value);
    };
    const Candidate& winner = cells_[*cheapest];
    text += " Of these and it " + winner.cell.label + " " + panel.most + ": " + amount(winner);
    if (*cheapest == against_.best || !value(best, panel.against).value) return text + ".";
    text += " against " + amount(best);
    if (!picker_.difference(panel.against, best, winner).separable) text += ", not separable";
    return text + ".";
  }

  // Where every shown cell had the same memory.
  void add_budget(Chart& chart) const {
    std::optional<MemoryBudget> budget;
    for (const size_t i : shown_) {
      const auto own = memory_budget(context_.run, cells_[i].cell);
      if (!own || (budget && (budget->usable() != own->usable()))) return;
      budget = own;
    }
    if (!budget) return;
    const std::string size = format_bytes(std::llround(budget->usable()));
    const std::string whose = budget->of_gpu ? "the GPU" : "the machine";
    chart.guides.push_back({true, budget->usable() / kGiB,
                            budget->floor ? "budget " + size : whose + ": " + size,
                            budget->floor ? Tone::kBad : Tone::kMuted});
    chart.answer += budget->floor
                        ? " The budget is " + size + ": " + whose + "'s memory less the " +
                              format_bytes(std::llround(*budget->floor)) + " that stay free."
                        : " There are " + size + " in " + whose + ".";
  }

  const PageContext& context_;
  const Picker& picker_;
  const std::vector<Candidate>& cells_;
  std::vector<std::vector<size_t>> frontiers_;  // of kPanels
  std::set<size_t> shown_;                      // in the order of the sweep
  size_t n_measured_ = 0;
  Against against_;
  ChartAxis quality_axis_;
};

std::string why(const Pick& pick) {
  std::string text;
  for (size_t i = 1; i < pick.reasons.size(); ++i) {
    text += (text.empty() ? "" : "; ") + pick.reasons[i];
  }
  return text.empty() ? pick.reasons.front() : text;
}

// How well it stands in what matters most, and what decided: the table has the steps between.
std::string in_short(const Pick& pick) {
  const std::vector<std::string>& reasons = pick.reasons;
  if (reasons.size() < 3) return reasons.back();
  return reasons[1] + "; " + reasons.back();
}

// Which cell to deploy, how sure that is and why: what `ds4-sweep pick` says for each thing that
// may matter most. Empty where no cell can be chosen.
std::vector<std::string> advice(const std::vector<Pick>& picks) {
  std::set<size_t> winners;
  std::vector<std::string> lines = {"Which cell to deploy depends on what matters most."};
  for (const Pick& pick : picks) {
    if (!pick.winner) continue;
    winners.insert(*pick.winner);
    std::string matter = word(pick.need.prefer);
    matter.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(matter.front())));
    lines.push_back(matter + ": " + pick.candidates[*pick.winner].cell.label + " (" +
                    in_short(pick) + ").");
  }
  if (winners.empty()) return {};
  if (winners.size() > 1) return lines;
  return {"Deploy " + picks.front().candidates[*winners.begin()].cell.label +
          ": it is the pick whether quality, memory or decode speed matters most (" +
          in_short(picks.front()) + ")."};
}

void add_picks(const PageContext& context, const std::vector<Pick>& picks, Section& section) {
  Table table{"Which of the cells shown to deploy, by what matters most, and how sure that is.",
              {{"what matters most"},
               {"cell"},
               {"quality", true},
               {"memory", true},
               {"decode", true},
               {"why"}},
              {}};
  for (const Pick& pick : picks) {
    if (!pick.winner) continue;
    const Candidate& c = pick.candidates[*pick.winner];
    const auto text = [&](Criterion criterion, const char* unit) {
      const PickValue& v = value(c, criterion);
      return v.value ? TableCell{format_value(unit, *v.value)} : nothing();
    };
    table.rows.push_back({{word(pick.need.prefer)},
                          {c.cell.label},
                          text(Criterion::kQuality, ""),
                          text(Criterion::kMemory, "B"),
                          text(Criterion::kDecode, "tok/s"),
                          {why(pick)}});
  }
  if (table.rows.empty()) return;
  section.paragraphs.push_back("`ds4-sweep pick " + context.run.run.id.substr(0, 8) +
                               " --prefer quality` prints the profile of a pick; --max-memory, "
                               "--context and --min-quality state what it must keep.");
  section.tables.push_back(std::move(table));
}

}  // namespace

Section tradeoff_section(PageContext& context) {
  Section section{"trade-off", "The trade-off", {}, {}, {}};
  if (!context.many_cells()) return section;
  const Picker picker(context.run);
  const Tradeoff tradeoff(context, picker);
  if (tradeoff.n_measured() < 2) return section;
  std::vector<Pick> picks;
  for (const Criterion prefer : {Criterion::kQuality, Criterion::kMemory, Criterion::kDecode}) {
    Need need;
    need.prefer = prefer;
    picks.push_back(picker.pick(need, tradeoff.shown()));
  }
  std::vector<std::string>& deploy = context.page.head.deploy;
  deploy = advice(picks);
  if (is_synthetic_identity(context.run.run.checkpoint_identity)) {
    const std::string note = "The scores of this run mean nothing, and so does this choice: " +
                             std::string(kSyntheticNote) + ".";
    section.paragraphs.push_back(note);
    if (!deploy.empty()) deploy.front() = note + " " + deploy.front();
  }
  add_picks(context, picks, section);
  const std::vector<Candidate>& cells = picker.candidates();
  const auto n_unfit = std::count_if(cells.begin(), cells.end(),
                                     [](const Candidate& c) { return !c.unfit.empty(); });
  if (n_unfit > 0) {
    section.paragraphs.push_back(
        "Cells that did not answer all of their cases: " + std::to_string(n_unfit) +
        ". They have no mark here and are not picked; Outcomes says how "
        "each ended.");
  }
  tradeoff.add_to(section);
  return section;
}

}  // namespace ds4::reports
