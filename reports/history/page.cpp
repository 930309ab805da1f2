// A history as a page: what changed, every figure beside its runs, and the runs themselves.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "reports/figures/format.h"
#include "reports/history/history.h"

namespace ds4::reports {
namespace {

constexpr size_t kNamed = 3;  // changes in the sentence at the top; the table has all

std::string id_of(const HistoryRun& run) {
  return run.run.id.substr(0, 8);
}

std::string name_of(const HistoryFigure& figure) {
  std::string name = figure.name;
  std::replace(name.begin(), name.end(), '_', ' ');
  if (!figure.suite.empty()) name = figure.suite + " " + name;
  return name + (figure.cell == "default" ? "" : ", " + figure.cell);
}

std::string p_text(double p) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", p);
  return text;
}

// A share of a time, rate or size; of a score the difference itself.
std::string change_text(const HistoryFigure& figure, const ChangePoint& change) {
  char text[48];
  if (figure.unit.empty() || change.before == 0) {
    std::snprintf(text, sizeof text, "%+.3g", change.after - change.before);
  } else {
    std::snprintf(text, sizeof text, "%+.1f %%", 100 * (change.after / change.before - 1));
  }
  return text;
}

Tone tone_of(const HistoryFigure& figure, const ChangePoint& change) {
  if (figure.better == 0 || change.after == change.before) return Tone::kUnsure;
  return (change.after > change.before) == (figure.better > 0) ? Tone::kGood : Tone::kBad;
}

std::string values_text(const HistoryFigure& figure, const ChangePoint& change) {
  return format_value(figure.unit, change.before) + " to " +
         format_value(figure.unit, change.after) + " (" + change_text(figure, change) + ")";
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : "; ") + text;
  return all;
}

// Of the runs since the one before that has the figure.
std::string changed_since(const History& history, const HistoryFigure& figure, size_t at) {
  std::string all = joined(history.runs[at].changed);
  for (size_t i = at; i-- > 0 && !figure.runs[i];) {
    const std::string more = joined(history.runs[i].changed);
    if (!more.empty()) all = more + (all.empty() ? "" : "; ") + all;
  }
  return all;
}

struct Marked {
  const HistoryFigure* figure;
  const ChangePoint* change;
};

// The newest first.
std::vector<Marked> marked(const History& history) {
  std::vector<Marked> all;
  for (const HistoryFigure& figure : history.figures) {
    for (const ChangePoint& change : figure.changes) all.push_back({&figure, &change});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Marked& a, const Marked& b) { return a.change->at > b.change->at; });
  return all;
}

PageHead head_of(const History& history) {
  const std::vector<Marked> changes = marked(history);
  const bool worse = std::any_of(changes.begin(), changes.end(), [](const Marked& one) {
    return tone_of(*one.figure, *one.change) == Tone::kBad;
  });
  PageHead head;
  head.title = history.runs.back().run.profile_name;
  head.subject = "its last " + std::to_string(history.runs.size()) + " runs";
  head.provenance = id_of(history.runs.front()) + ", " + history.runs.front().run.started_at +
                    ", to " + id_of(history.runs.back()) + ", " +
                    history.runs.back().run.started_at;
  if (changes.empty()) {
    head.sign = "=";
    head.word = "NO CHANGE";
    head.tone = Tone::kMuted;
    head.reason = history.n_tests == 0
                      ? "Nothing could be tested: a change shows in " +
                            std::to_string(kLeastSeries) + " runs or more."
                      : "No level changed in " + std::to_string(history.n_tests) + " figures.";
    head.next_step = "ds4-sweep report " + id_of(history.runs.back()) + " shows the newest run.";
    return head;
  }
  head.sign = worse ? "✗" : "✓";
  head.word = changes.size() == 1 ? "1 CHANGE" : std::to_string(changes.size()) + " CHANGES";
  head.tone = worse ? Tone::kBad : Tone::kGood;
  for (size_t i = 0; i < std::min(changes.size(), kNamed); ++i) {
    const auto& [figure, change] = changes[i];
    head.reason += (i == 0 ? "" : "; ") + name_of(*figure) + " from " +
                   values_text(*figure, *change) + " in run " + id_of(history.runs[change->at]);
  }
  if (changes.size() > kNamed) {
    head.reason += "; and " + std::to_string(changes.size() - kNamed) + " more";
  }
  head.reason += ".";
  const size_t at = changes.front().change->at;
  head.next_step = "ds4-sweep compare " + id_of(history.runs[at - 1]) + " " +
                   id_of(history.runs[at]) + " holds the two runs against each other.";
  return head;
}

Section changes_section(const History& history) {
  Section section{"changes", "What changed", {}, {}, {}};
  Table table{
      "Where a figure's level changed, the newest first, and what else was new in that run.",
      {{"figure"},
       {"first run"},
       {"before", true},
       {"after", true},
       {"change", true},
       {"p", true},
       {"new there"}},
      {}};
  for (const auto& [figure, change] : marked(history)) {
    const std::string there = changed_since(history, *figure, change->at);
    table.rows.push_back({{name_of(*figure)},
                          {id_of(history.runs[change->at])},
                          {format_value(figure->unit, change->before)},
                          {format_value(figure->unit, change->after)},
                          {change_text(*figure, *change), tone_of(*figure, *change)},
                          {p_text(change->p)},
                          {there.empty() ? "nothing that is stored" : there}});
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  char level[32];
  std::snprintf(level, sizeof level, "%g %%", 100 * history.alpha);
  section.paragraphs.push_back(
      "A change is marked where the runs before and after differ more than in nearly every other "
      "order of the same runs (binary segmentation with a permutation test on ranks; " +
      std::to_string(history.n_tests) +
      " figures share the level). Where nothing changed, a page marks anything in " + level +
      " of all cases. A slow drift shows as a step; docs/method.md explains.");
  return section;
}

// The picture of a figure; its table stands below all pictures.
Chart chart_of(const History& history, const HistoryFigure& figure, size_t number) {
  Chart chart;
  chart.id = "history-" + std::to_string(number);
  chart.title = "Did " + name_of(figure) + " change?";
  chart.answer = figure.changes.empty() ? "No change of level is shown." : "";
  chart.x = {"run, the oldest first"};
  chart.y = {figure.unit.empty() ? "score" : figure.unit};
  ChartSeries series{name_of(figure), figure.cell};
  for (size_t i = 0; i < figure.runs.size(); ++i) {
    if (!figure.runs[i]) continue;
    ChartPoint point{static_cast<double>(i + 1), *figure.runs[i]->value};
    point.y_interval = figure.runs[i]->interval;
    point.note = "run " + id_of(history.runs[i]) + ", " + history.runs[i].run.started_at;
    series.points.push_back(std::move(point));
  }
  chart.series = {std::move(series)};
  for (const ChangePoint& change : figure.changes) {
    const std::string text = values_text(figure, change);
    chart.answer += (chart.answer.empty() ? "From " : "; from ") + text + " in run " +
                    id_of(history.runs[change.at]);
    chart.guides.push_back({true, static_cast<double>(change.at) + 0.5, change_text(figure, change),
                            tone_of(figure, change)});
  }
  if (!figure.changes.empty()) chart.answer += ".";
  return chart;
}

Table table_of(const History& history, const HistoryFigure& figure) {
  Table table{name_of(figure) + ", run by run.",
              {{"run"},
               {"started"},
               {"value", true},
               {"95 %", true},
               {"n", true},
               {"mark"},
               {"new in this run"}},
              {}};
  table.in_terminal = false;
  for (size_t i = 0; i < figure.runs.size(); ++i) {
    const auto& value = figure.runs[i];
    const auto change = std::find_if(figure.changes.begin(), figure.changes.end(),
                                     [&](const ChangePoint& c) { return c.at == i; });
    std::vector<TableCell> row = {{id_of(history.runs[i])}, {history.runs[i].run.started_at}};
    row.push_back(value ? TableCell{format_value(*value)} : TableCell{"–", Tone::kMuted});
    row.push_back(value ? TableCell{format_interval(*value)} : TableCell{"–", Tone::kMuted});
    row.push_back({value ? std::to_string(value->n) : "0"});
    row.push_back(
        change == figure.changes.end()
            ? TableCell{}
            : TableCell{"changed " + change_text(figure, *change) + ", p = " + p_text(change->p),
                        tone_of(figure, *change)});
    row.push_back({joined(history.runs[i].changed), Tone::kMuted});
    table.rows.push_back(std::move(row));
  }
  return table;
}

// For a glance on a terminal.
Table latest_table(const History& history) {
  Table table{"Every figure: its newest value and its level over all runs.",
              {{"figure"},
               {"newest", true},
               {"95 %", true},
               {"least", true},
               {"most", true},
               {"runs", true},
               {"changes", true}},
              {}};
  for (const HistoryFigure& figure : history.figures) {
    const FigureData* newest = nullptr;
    double least = HUGE_VAL, most = -HUGE_VAL;
    int n = 0;
    for (const auto& value : figure.runs) {
      if (!value) continue;
      newest = &*value;
      least = std::min(least, *value->value);
      most = std::max(most, *value->value);
      ++n;
    }
    table.rows.push_back({{name_of(figure)},
                          {format_value(*newest)},
                          {format_interval(*newest)},
                          {format_value(figure.unit, least)},
                          {format_value(figure.unit, most)},
                          {std::to_string(n)},
                          {std::to_string(figure.changes.size()),
                           figure.changes.empty() ? Tone::kMuted : Tone::kUnsure}});
  }
  return table;
}

Section runs_section(const History& history) {
  Section section{"runs", "The runs", {}, {}, {}};
  Table table{"What is stored of each, and what was another than in the run before.",
              {{"run"}, {"started"}, {"commit"}, {"profile"}, {"checkpoint"}, {"changed"}},
              {}};
  for (const HistoryRun& run : history.runs) {
    std::vector<TableCell> row = {{id_of(run)}, {run.run.started_at}};
    for (const char* part : {"commit", "profile", "checkpoint"}) {
      const auto is_new = [&](const std::string& text) {
        return text.starts_with(std::string(part) + " ");
      };
      const bool changed = std::any_of(run.changed.begin(), run.changed.end(), is_new);
      row.push_back({run.environment.at(part), changed ? Tone::kUnsure : Tone::kPlain});
    }
    row.push_back({joined(run.changed)});
    table.rows.push_back(std::move(row));
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace

Page history_page(const History& history) {
  Page page;
  page.run = history.runs.back().run;
  page.head = head_of(history);
  page.sections.push_back(changes_section(history));
  Section figures{"figures", "Figures", {}, {latest_table(history)}, {}};
  for (size_t i = 0; i < history.figures.size(); ++i) {
    figures.charts.push_back(chart_of(history, history.figures[i], i + 1));
    figures.tables.push_back(table_of(history, history.figures[i]));
  }
  page.sections.push_back(std::move(figures));
  page.sections.push_back(runs_section(history));
  return page;
}

}  // namespace ds4::reports
