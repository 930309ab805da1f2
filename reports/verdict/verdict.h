// Gates held against figures: pass, fail or inconclusive, always with the reason and the next step.
// The rule is written out in docs/method.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/figure.h"

namespace ds4::reports {

/// A bound as the run recorded it (profiles::Gate, read from the stored profile).
struct Gate {
  std::string suite;  // "" = every suite
  std::string figure;
  std::map<std::string, std::string> tags;
  std::optional<double> min, max;
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
};

struct Verdict {
  Decision decision = Decision::kInconclusive;
  std::string reason;     // one sentence
  std::string next_step;  // one sentence with the command to type
  std::vector<GateResult> gates;
  int n_cells = 0;
  int n_cells_incomplete = 0;  // cells with a case that has no measurement

  /// 0 everything measured and every gate kept; 1 a gate broken by a measurement; 4 something has
  /// no measurement, or too little to decide a gate.
  int exit_code() const;
};

Verdict judge(const RunData& run, const Judging& judging);

}  // namespace ds4::reports
