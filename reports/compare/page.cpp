#include "reports/compare/page.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/figures/format.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxValue = 64;  // a sha256

std::string id_of(const RunRow& run) {
  return run.id.substr(0, 8);
}

// The runs in order, the first one they are held against in front.
std::vector<const RunRow*> runs_of(const std::vector<Comparison>& pairs) {
  std::vector<const RunRow*> runs = {&pairs.front().base};
  for (const Comparison& pair : pairs) runs.push_back(&pair.now);
  return runs;
}

// "3f2a1b0c, k160": what tells the runs apart is in their names.
std::vector<std::string> names_of(const std::vector<const RunRow*>& runs) {
  const auto differs = [&](const auto& part) {
    return std::any_of(runs.begin(), runs.end(),
                       [&](const RunRow* run) { return part(*run) != part(*runs.front()); });
  };
  const auto checkpoint = [](const RunRow& run) {
    return std::filesystem::path(run.checkpoint_path).filename().string();
  };
  const auto profile = [](const RunRow& run) { return run.profile_name; };
  std::vector<std::string> names;
  for (const RunRow* run : runs) {
    std::string name = id_of(*run);
    if (differs(checkpoint)) name += ", " + checkpoint(*run);
    if (differs(profile)) name += ", " + profile(*run);
    names.push_back(std::move(name));
  }
  return names;
}

std::string percent_change(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", 100 * share);
  return text;
}

std::string score_change(double change) {
  return (change > 0 ? "+" : "") + format_value("", change);
}

TableCell change_cell(const std::string& text, Change change) {
  switch (change) {
    case Change::kImprovement:
      return {text + " ✓", Tone::kGood};
    case Change::kRegression:
      return {text + " ✗", Tone::kBad};
    case Change::kNotSeparable:
      return {text + " =", Tone::kMuted};
  }
  return {};
}

std::string cut(const std::string& text) {
  return text.size() <= kMaxValue ? text : text.substr(0, kMaxValue) + "…";
}

// One row a fact; those in which the runs differ first, and marked.
Section run_section(const std::vector<Comparison>& pairs, const std::vector<std::string>& names) {
  const std::vector<const RunRow*> runs = runs_of(pairs);
  Section section{"run", "What was run, and what differs", {}, {}, {}};
  Table differing{"Where the runs differ.", {{"what"}}, {}}, shared = differing;
  shared.caption = "What they share.";
  for (const std::string& name : names) {
    differing.columns.push_back({name});
    shared.columns.push_back({name});
  }
  const auto add = [&](const std::string& what, const std::vector<std::string>& values) {
    const bool same = std::all_of(values.begin(), values.end(),
                                  [&](const std::string& v) { return v == values.front(); });
    std::vector<TableCell> row = {{what}};
    for (const std::string& value : values) {
      const Tone tone = value == values.front() ? Tone::kPlain : Tone::kUnsure;
      row.push_back(value.empty() ? TableCell{"–", Tone::kMuted} : TableCell{cut(value), tone});
    }
    (same ? shared : differing).rows.push_back(std::move(row));
  };
  const auto of_runs = [&](const auto& part) {
    std::vector<std::string> values;
    for (const RunRow* run : runs) values.push_back(part(*run));
    return values;
  };
  add("profile", of_runs([](const RunRow& run) { return run.profile_name; }));
  add("checkpoint", of_runs([](const RunRow& run) { return run.checkpoint_path; }));
  add("started", of_runs([](const RunRow& run) { return run.started_at; }));
  add("build", of_runs([](const RunRow& run) {
        return run.version + ", " + run.commit.substr(0, 12) + (run.dirty ? ", modified" : "");
      }));
  // Settings, machine and identities: what some pair differs in; the others are as the first.
  std::map<std::string, std::vector<std::string>> rows;
  for (size_t i = 0; i < pairs.size(); ++i) {
    for (const EnvironmentDifference& difference : pairs[i].environment) {
      if (difference.what == "build") continue;
      std::vector<std::string>& values =
          rows.try_emplace(difference.what, runs.size(), difference.base).first->second;
      values[i + 1] = difference.now;
    }
  }
  for (const auto& [what, values] : rows) add(what, values);
  for (Table* table : {&differing, &shared}) {
    if (!table->rows.empty()) section.tables.push_back(std::move(*table));
  }
  if (rows.empty()) section.paragraphs = {"The same checkpoint, settings and machine."};
  return section;
}

// A headline figure of a cell as all pairs have it.
struct Line {
  std::string reference;                                // the first run's value
  std::vector<std::pair<std::string, TableCell>> runs;  // of the others: value, change
};

using LineName = std::vector<std::string>;  // cell, suite, figure

class Lines {
 public:
  explicit Lines(size_t n_pairs) : n_pairs_(n_pairs) {}
  void add(LineName name, size_t pair, std::string reference, std::string value, TableCell change) {
    const auto [place, is_new] = places_.try_emplace(name, lines_.size());
    if (is_new) {
      names_.push_back(std::move(name));
      lines_.push_back({std::move(reference), {n_pairs_, {"–", {"–", Tone::kMuted}}}});
    }
    lines_[place->second].runs[pair] = {std::move(value), std::move(change)};
  }
  Table table(const std::vector<std::string>& runs) const {
    Table table{
        "Headline figures, the other runs against the first: ✓ better, ✗ worse, = not "
        "separable. Each pair is compared over the cases that both answered; the first "
        "run's value is the one of the first pair.",
        {{"figure"}, {"cell"}, {runs.front(), true}},
        {}};
    for (size_t i = 1; i < runs.size(); ++i) {
      table.columns.push_back({runs[i], true});
      table.columns.push_back({"change", true});
    }
    for (size_t i = 0; i < lines_.size(); ++i) {
      const LineName& name = names_[i];
      std::vector<TableCell> row = {{(name[1].empty() ? "" : name[1] + " ") + name[2]},
                                    {name[0].empty() ? "–" : name[0]},
                                    {lines_[i].reference}};
      for (const auto& [value, change] : lines_[i].runs) {
        row.push_back({value});
        row.push_back(change);
      }
      table.rows.push_back(std::move(row));
    }
    return table;
  }

 private:
  size_t n_pairs_;
  std::map<LineName, size_t> places_;
  std::vector<LineName> names_;
  std::vector<Line> lines_;
};

bool is_headline(const SampleChange& line) {
  for (const char* metric : {"ttft", "prefill_rate", "decode_rate", "peak_memory"}) {
    if (line.metric == metric) return true;
  }
  return false;
}

// Changes with their intervals, one mark a line and pair.
class ChangeChart {
 public:
  ChangeChart(const char* id, const char* title, const char* unit) {
    chart_.id = id;
    chart_.title = title;
    chart_.x = {unit};
    chart_.guides = {{true, 0, "the first run", Tone::kMuted}};
  }
  void begin(const std::string& run) { chart_.series.push_back({run, run, ChartForm::kPoints}); }
  void add(const std::string& name, double change, const Interval& interval, Change verdict) {
    std::vector<std::string>& names = chart_.y.categories;
    auto place = std::find(names.begin(), names.end(), name);
    if (place == names.end()) place = names.insert(names.end(), name);
    ChartPoint point{change, static_cast<double>(place - names.begin())};
    point.x_interval = interval;
    point.note = name + ": " + word(verdict);
    chart_.series.back().points.push_back(std::move(point));
    n_clear_ += verdict != Change::kNotSeparable;
    ++n_;
  }
  void finish(Section& section) {
    std::erase_if(chart_.series, [](const ChartSeries& series) { return series.points.empty(); });
    if (chart_.series.empty()) return;
    chart_.answer = std::to_string(n_clear_) + " of " + std::to_string(n_) +
                    " differences are clear of chance; the tables below have each.";
    section.charts.push_back(std::move(chart_));
  }

 private:
  Chart chart_;
  int n_clear_ = 0, n_ = 0;
};

std::string line_name(const std::string& cell, const std::string& suite, const std::string& name) {
  return (suite.empty() ? "" : suite + " ") + name + (cell.empty() ? "" : ", " + cell);
}

Section headline_section(const std::vector<Comparison>& pairs,
                         const std::vector<std::string>& names) {
  Section section{"headline", "Side by side", {}, {}, {}};
  Lines lines(pairs.size());
  ChangeChart scores("changes-scores", "Which scores differ from the first run's?",
                     "difference of the score, with its interval");
  ChangeChart samples("changes-samples", "Which times and sizes differ from the first run's?",
                      "change in %, with its interval");
  for (size_t i = 0; i < pairs.size(); ++i) {
    scores.begin(names[i + 1]);
    samples.begin(names[i + 1]);
    for (const ScoreChange& line : pairs[i].scores) {
      const Difference& d = line.difference;
      if (!line.headline) continue;
      lines.add({line.cell, d.suite, d.score}, i, format_value("", d.reference),
                format_value("", d.value), change_cell(score_change(d.change), line.test.change));
      scores.add(line_name(line.cell, d.suite, d.score), d.change, d.interval, line.test.change);
    }
    for (const SampleChange& line : pairs[i].samples) {
      if (!is_headline(line)) continue;
      lines.add({line.cell, line.suite, line.metric}, i, format_value(line.unit, line.base),
                format_value(line.unit, line.now),
                line.change ? change_cell(percent_change(*line.change), line.test.change)
                            : TableCell{"–", Tone::kMuted});
      if (!line.change || !line.interval) continue;
      samples.add(line_name(line.cell, line.suite, line.metric), 100 * *line.change,
                  {100 * line.interval->lo, 100 * line.interval->hi}, line.test.change);
    }
  }
  scores.finish(section);
  samples.finish(section);
  Table table = lines.table(names);
  if (table.rows.empty()) return section;
  section.tables.push_back(std::move(table));
  return section;
}

PageHead head_of(const std::vector<Comparison>& pairs) {
  PageHead head;
  head.title = pairs.front().base.profile_name;
  head.subject = "run " + id_of(pairs.front().base) + " and";
  int worse = 0, better = 0;
  for (const Comparison& pair : pairs) {
    if (pair.now.profile_name != pair.base.profile_name) head.title += ", " + pair.now.profile_name;
    head.subject += (&pair == &pairs.front() ? " " : ", ") + id_of(pair.now);
    head.reason += (head.reason.empty() ? "" : " ") + conclude(pair).sentence;
    worse += pair.count(Change::kRegression);
    better += pair.count(Change::kImprovement);
  }
  const auto counted = [](int n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "S");
  };
  head.sign = worse > 0 ? "✗" : better > 0 ? "✓" : "=";
  head.tone = worse > 0 ? Tone::kBad : better > 0 ? Tone::kGood : Tone::kMuted;
  head.word = worse > 0    ? counted(worse, "REGRESSION")
              : better > 0 ? counted(better, "IMPROVEMENT")
                           : "NOT SEPARABLE";
  head.next_step = "ds4-sweep compare " + id_of(pairs.front().base) + " " +
                   id_of(pairs.front().now) + " --json has every test with its numbers.";
  head.provenance = "against run " + id_of(pairs.front().base) + ", started " +
                    pairs.front().base.started_at + ", commit " +
                    pairs.front().base.commit.substr(0, 12);
  return head;
}

}  // namespace

std::vector<Comparison> compare_with_first(Store& store, const std::vector<std::string>& runs,
                                           CompareSettings settings) {
  settings.alpha /= static_cast<double>(runs.size() - 1);
  std::vector<Comparison> pairs;
  for (size_t i = 1; i < runs.size(); ++i) {
    pairs.push_back(compare_runs(store, runs.front(), store, runs[i], settings));
  }
  return pairs;
}

Page comparison_page(const std::vector<Comparison>& pairs) {
  const std::vector<std::string> names = names_of(runs_of(pairs));
  Page page;
  page.run = pairs.front().base;
  page.head = head_of(pairs);
  page.sections.push_back(run_section(pairs, names));
  page.sections.push_back(headline_section(pairs, names));
  for (size_t i = 0; i < pairs.size(); ++i) {
    for (Section& section : sections_of(pairs[i])) {
      if (section.id == "environment") continue;  // above, of all runs
      section.id = "pair-" + std::to_string(i + 1) + "-" + section.id;
      section.title += ": " + names[i + 1] + " against " + names.front();
      page.sections.push_back(std::move(section));
    }
  }
  std::erase_if(page.sections, [](const Section& section) {
    return section.tables.empty() && section.paragraphs.empty() && section.charts.empty();
  });
  return page;
}

std::string comparisons_json(const std::vector<Comparison>& pairs) {
  nlohmann::ordered_json json = {{"format", "ds4-comparisons-1"},
                                 {"comparisons", nlohmann::ordered_json::array()}};
  for (const Comparison& pair : pairs) {
    json["comparisons"].push_back(nlohmann::ordered_json::parse(comparison_json(pair)));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
