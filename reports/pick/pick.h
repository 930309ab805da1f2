// Which cell of a run to use for a stated need: those that meet it, the frontier of quality, memory
// and speed among them, and one of these, with what every other would cost. docs/gates.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"
#include "reports/stats/stats.h"

namespace ds4::reports {

enum class Criterion { kDecode, kPrefill, kQuality, kMemory };
const char* word(Criterion criterion);  // "decode", "prefill", "quality", "memory"

struct Need {
  int64_t context = 0;                             // tokens of prompt and answer together
  std::optional<int64_t> max_memory = {};          // bytes
  std::map<std::string, double> min_quality = {};  // suite -> its headline score
  Criterion prefer = Criterion::kDecode;  // what decides among the cells that meet the rest
  double launch_noise = 0.05;             // CompareSettings::launch_noise
};

/// One measured value of a cell, "" and nothing where it has none.
struct PickValue {
  std::optional<double> value;
  std::optional<Interval> interval;  // 95 %
  int64_t n = 0;
};

/// What a cell has more (above 0) or less than the picked one, on the cases that both answered.
struct PickDifference {
  std::optional<double> change;  // a share; of quality the difference
  std::optional<Interval> interval;
  bool separable = false;  // the interval lies on one side of 0
};

struct Candidate {
  CellRow cell;
  int64_t context = 0;
  std::map<Criterion, PickValue> values;  // quality: mean headline score over all cases
  std::string unfit;                      // why it does not meet the need; "" = it does
  std::string remark;                     // of one that does, where it is not certain
  bool on_frontier = false;               // no fitting cell is as good in all and better in one
  std::map<Criterion, PickDifference> against_pick;
};

struct Pick {
  RunRow run;
  Need need;
  std::vector<Candidate> candidates;  // in the order of the sweep
  std::optional<size_t> winner;       // nothing when no cell meets the need
  std::vector<std::string> reasons;   // how it was found, step by step

  /// 0 with a winner, else 1.
  int exit_code() const { return winner ? 0 : 1; }
};

/// Throws Error(kUsage) for a suite that the run does not have.
Pick pick_cell(const RunData& run, const Need& need);

/// The reasons and a table of all cells, every line a TOML comment; before the winner's profile
/// both are one file that runs.
std::string pick_text(const Pick& pick);

/// One object, "format": "ds4-pick-1"; `profile` is the winner's, as TOML.
std::string pick_json(const Pick& pick, const std::string& profile);

}  // namespace ds4::reports
