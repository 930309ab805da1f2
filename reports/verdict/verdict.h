// Gates held against figures: pass, fail or inconclusive, always with the reason and the next step.
// The rule is written out in docs/method.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/compare/comparison.h"
#include "reports/figures/figure.h"

namespace ds4::reports {

/// What a run must keep, as it recorded it (profiles::Gate, read from the stored profile): bounds
/// of a figure, a baseline's figure, or the absence of an outcome.
struct Gate {
  std::string suite;   // "" = every suite
  std::string figure;  // "" with `outcome`
  std::map<std::string, std::string> tags;
  std::optional<double> min, max;
  std::optional<double> floor;  // `max = "floor"`: bytes that must stay free (floor_gate.h)
  std::string baseline;         // not "": no worse than that run's figure
  double not_worse_by = 0;      // by more than this share of it, or of 1 for a score
  std::string outcome;          // "oom", "watchdog", "failure", "invalid": no launch may end so
  int64_t min_n = 1;
  std::string source;  // "profiles/tiny.toml:41"
};

/// A swept setting of the stored profile.
struct Axis {
  std::string key;  // "checkpoint"
  size_t n_values = 0;
};

/// What the stored profile says about judging and showing a run.
struct Judging {
  std::vector<Axis> axes;  // the first varies slowest over the cells
  std::vector<Gate> gates;
  std::map<std::string, std::vector<std::string>> scores;  // by suite; the first is the headline
};

/// Reads RunRow::resolved_profile. Throws Error(kIo) when it is damaged.
Judging judging_of(const RunRow& run);

enum class Decision { kPass, kFail, kInconclusive };
const char* word(Decision decision);  // "PASS", "FAIL", "INCONCLUSIVE"
const char* sign(Decision decision);  // "✓", "✗", "?"

/// "exact length=512", "decode_rate", "no oom": a gate by what it is about.
std::string gate_name(const Gate& gate);

struct GateResult {
  Gate gate;
  std::string cell_key, cell_label;
  std::string suite;  // the one judged; "" = the whole cell
  Decision decision = Decision::kInconclusive;
  std::string reason;  // one sentence with the measured value and the bound
  std::string bound;   // "≥ 0.980"
  std::string remark;  // what the value and the bound alone do not say; "" when nothing
  std::optional<Figure> figure;
  bool unmeasured = false;  // decided by what is missing, not by a number
  bool relative = false;    // left for judge_against_baselines()
};

struct Verdict {
  Decision decision = Decision::kInconclusive;
  std::string reason;     // one sentence
  std::string next_step;  // one sentence with the command to type
  std::vector<GateResult> gates;
  int n_cells = 0;
  int n_cells_incomplete = 0;  // cells with a case that has no measurement
  int n_suites_skipped = 0;    // whole or in part, of all cells

  /// 0 everything measured and every gate kept; 1 a gate broken by a measurement; 4 something has
  /// no measurement, or too little to decide a gate.
  int exit_code() const;
};

/// A run that gates name, compared with the one to judge; or why there is nothing to compare.
struct BaselineComparison {
  std::optional<Comparison> comparison;
  std::string missing;
};
using Baselines = std::map<std::string, BaselineComparison>;  // by name

/// Compares a run with every baseline that its gates name.
Baselines compare_with_baselines(Store& store, const std::string& run_id, const Judging& judging);

Verdict judge(const RunData& run, const Judging& judging, const Baselines& baselines = {});

}  // namespace ds4::reports
