// Figures that others published for this model, with their source and hardware: read-only
// baselines. One value each, mostly of one request, so that a difference is shown and never judged.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reports/compare/environment.h"
#include "reports/figures/figure.h"
#include "reports/pages/page.h"

namespace ds4::reports {

struct PublishedFigure {
  std::string suite;          // "" = any
  std::string figure;         // a score or metric of ours that comes nearest
  int64_t prompt_tokens = 0;  // observed; 0 = of no certain length
  double value = 0;           // in the figure's unit
  std::optional<int64_t> n;   // measurements behind it, where stated
  std::string definition;     // how they measured it
  std::string of = {};        // figures of a machine: the row of `probe` that comes nearest; a `*`
                              // in it stands for anything
};

/// One file of reports/published/.
struct Published {
  std::string name, what, source, hardware;
  std::string machine;  // hardware_class() of it
  std::string engine, checkpoint;
  std::vector<std::string> profiles;  // names of ours that ask for the same
  std::vector<std::string> caveats;
  std::vector<PublishedFigure> figures;
};

/// Every published run, by name.
std::span<const Published> published_runs();

/// Throws Error(kUsage) when there is none of that name.
const Published& find_published(const std::string& name);

/// "spark", "rtx6000", "h100", "h200", with "-x2" for two cards; "" of anything else. From
/// RunRow::machine.
std::string hardware_class(const std::string& machine);

/// A published figure beside what a cell of a run gives for it: over the answers of the suite whose
/// prompts are within a tenth as long.
struct PublishedLine {
  std::string cell;  // label
  PublishedFigure published;
  std::string unit;
  std::optional<Figure> now;  // nothing where the run has none
};

struct PublishedComparison {
  Published base;
  RunRow now;
  std::vector<EnvironmentDifference> environment;  // hardware, engine, checkpoint
  std::vector<PublishedLine> lines;                // of the figures that the run has, too
  int n_without = 0;                               // published figures it has none for
};

PublishedComparison compare_with_published(const Published& base, const RunData& run);

/// The published runs that a run corresponds to: by its profile and hardware.
std::vector<const Published*> corresponding(const RunRow& run);

/// A table of the lines with the caveats below it.
Section published_section(const PublishedComparison& comparison);

std::string published_text(const PublishedComparison& comparison, bool colour);
std::string published_markdown(const PublishedComparison& comparison);
std::string published_json(const PublishedComparison& comparison);  // "ds4-published-1"

}  // namespace ds4::reports
