// The parts of build_page(): one function per section. Only for the .cpp files of this folder.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "reports/figures/payoff.h"
#include "reports/figures/run_data.h"
#include "reports/pages/page.h"

namespace ds4::reports {

/// What a figure is about, and its name.
struct FigureKey {
  Name cell, suite, tags, figure;
  bool operator==(const FigureKey&) const = default;
};
struct FigureKeyHash {
  size_t operator()(const FigureKey& key) const {
    size_t all = 0;
    for (const Name name : {key.cell, key.suite, key.tags, key.figure}) {
      all = all * 0x9e3779b97f4a7c15 + std::hash<Name>()(name);
    }
    return all;
  }
};
using FiguresMade = std::unordered_map<FigureKey, const Figure*, FigureKeyHash>;

/// What a section is made from, and the figures made on the way. Sections are made side by side:
/// each has a context of its own and shares what these refer to, so that in the page it writes
/// nothing but a list that no other has.
struct PageContext {
  const RunData& run;
  const Judging& judging;
  Store& store;  // for the texts of the items that open
  Page& page;
  const PageSettings settings = {};

  /// The figure, made and listed once, so that every shown number can be traced.
  const Figure* figure(const Selection& selection, Name name);
  /// Score names of a suite, the headline first; those of the profile, else those stored.
  std::vector<std::string> scores_of(const std::string& suite) const;
  bool many_cells() const { return run.cells.size() > 1; }

  std::deque<Figure> figures = {};  // in the order they were listed
  FiguresMade made = {};            // those of figure(); nullptr where there is none
};

Section verdict_section(PageContext& context);
Section run_section(PageContext& context);
Section tradeoff_section(PageContext& context);
Section speed_section(PageContext& context);
Section roofline_section(PageContext& context);
Section load_section(PageContext& context);
Section frontier_section(PageContext& context);
Section memory_section(PageContext& context);
Section long_context_section(PageContext& context);
Section trace_section(PageContext& context);
Section quality_section(PageContext& context);
Section changes_section(PageContext& context);
Section twins_section(PageContext& context);
Section published_figures_section(PageContext& context);
Section outcomes_section(PageContext& context);
Section method_section(PageContext& context);

/// The cases of the quality section, opened up: those that are not correct first.
void add_quality_items(PageContext& context, Section& section);

// Charts of a section, added to it: one file per section that has some (charts_*.cpp).
void add_speed_charts(PageContext& context, Section& section);
void add_latency_charts(PageContext& context, Section& section);
void add_load_charts(PageContext& context, Section& section);
void add_memory_charts(PageContext& context, Section& section);
void add_quality_charts(PageContext& context, Section& section);
void add_roofline_charts(const PageContext& context, Section& section);
void add_speculation_charts(PageContext& context, Section& section);
/// What a setting gave a cell in a suite, against the cell with its first value.
struct PayoffLine {
  std::string suite;
  const CellRow* cell;
  Payoff payoff;
};
void add_payoff_chart(const PageContext& context, const std::vector<PayoffLine>& lines,
                      Section& section);

/// What gives a cell its colour on every chart of a page: its checkpoint where the run has several,
/// else its label.
std::string chart_key(const RunData& run, const CellRow& cell);

/// A cell without a value.
inline TableCell nothing() {
  return {"–", Tone::kMuted};
}

}  // namespace ds4::reports
