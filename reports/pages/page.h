// The page of a run: one model from which every format is rendered (render.h). Texts in it are raw;
// escaping belongs to the renderers.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "reports/figures/difference.h"
#include "reports/figures/figure.h"
#include "reports/figures/frontier.h"
#include "reports/figures/roofline.h"
#include "reports/load/summary.h"
#include "reports/pages/chart.h"
#include "reports/pages/table.h"
#include "reports/verdict/verdict.h"

namespace ds4::reports {

/// A case that opens to its prompt, answer and grading, or a launch to its log.
struct Item {
  std::string title;
  Tone tone = Tone::kPlain;
  struct Part {
    std::string label, text;
  };
  std::vector<Part> parts = {};
  bool in_markdown = false;  // few and short enough to be pasted with the tables
};

struct Section {
  std::string id, title;
  std::vector<std::string> paragraphs;
  std::vector<Table> tables;
  std::vector<Item> items;  // where they can be opened: HTML; some in Markdown
  std::vector<Chart> charts = {};
  bool cut = false;  // its tables, to what may stay (limits.h)
};

/// What stands above the sections.
struct PageHead {
  std::string sign, word;  // "✓", "PASS"
  Tone tone = Tone::kPlain;
  std::string title;    // the profile's name
  std::string subject;  // "run 3f2a1b0c"
  std::string reason, next_step;
  std::string provenance;  // when and by which commit
  // Which cell to deploy, how sure that is and why: a sentence, then what hangs on what matters
  // most. Empty where none can be chosen.
  std::vector<std::string> deploy = {};
};

struct Page {
  PageHead head;
  RunRow run;
  Verdict verdict;
  std::vector<CellRow> cells;
  std::vector<CellStatus> statuses;  // of `cells`
  std::vector<LaunchRow> launches;
  std::vector<StoredAttempt> unusual_attempts;  // whose class is not "ok"; without texts
  std::deque<Figure> figures;           // every figure the sections show, with the rows behind it
  std::vector<Difference> differences;  // every comparison of two cells that they show
  std::vector<LoadSummary> loads;       // and every load
  std::vector<FrontierStep> frontiers;  // and every step of a walk
  std::vector<CellRoofline> rooflines;  // and every pass and operation under a roof
  std::vector<Section> sections;
};

struct PageSettings {
  /// As RunRow::resolved_profile: the run is judged by that one's gates. "" = by its own.
  std::string profile = {};
  bool full = false;  // every row, item and byte; else what limits.h has room for
};

/// Reads a run and builds its page. The same rows and version give the same page.
Page build_page(Store& store, const std::string& run_id, const PageSettings& settings = {});

}  // namespace ds4::reports
