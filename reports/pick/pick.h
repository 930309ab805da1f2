// Which cell of a run to use for a stated need: those that meet it, the frontier of quality, memory
// and speed among them, and one of these, with what every other would cost. docs/gates.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"
#include "reports/stats/stats.h"
#include "reports/verdict/verdict.h"

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
  CellRow cell;  // without its cases
  int64_t context = 0;
  std::map<Criterion, PickValue> values;  // quality: mean headline score, Picker::suites()
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

/// The cells of a run, measured once, to pick from for several needs. `run` must outlive it.
class Picker {
 public:
  explicit Picker(const RunData& run);

  /// In the order of the sweep; unfit are those that did not answer all of their cases.
  const std::vector<Candidate>& candidates() const { return candidates_; }
  /// The suites that quality is the mean of: those in which every complete cell has a verdict, so
  /// that no cell looks better for having been asked less.
  const std::vector<std::string>& suites() const { return suites_; }

  /// Without Candidate::against_pick. `among`: the places of the cells to choose from, all when it
  /// is empty. Throws Error(kUsage) for a suite that the run does not have.
  Pick pick(const Need& need, const std::set<size_t>& among = {}) const;
  /// What `other` has more or less than `reference`, on the cases that both answered.
  PickDifference difference(Criterion criterion, const Candidate& reference, const Candidate& other,
                            double launch_noise = Need().launch_noise) const;

 private:
  struct Scores {  // of a suite in a cell: over its cases with a verdict
    double total = 0;
    int64_t n = 0;
  };
  using ScoresOfSuites = std::map<std::string, Scores>;

  std::string headline(const std::string& suite) const;
  ScoresOfSuites scores_of(const CellRow& cell) const;
  PickValue quality(const ScoresOfSuites& scores) const;
  PickValue memory(const CellRow& cell) const;
  std::string unfit(const Candidate& candidate, const Need& need) const;
  std::string remark(const CellRow& cell, const Need& need) const;
  void choose(Pick& pick) const;
  void narrow(Criterion criterion, Pick& pick, std::vector<size_t>& left) const;
  PickDifference quality_difference(const CellRow& reference, const CellRow& other) const;
  PickDifference speed_difference(const std::string& metric, const CellRow& reference,
                                  const CellRow& other, double launch_noise) const;

  const RunData& run_;
  const Judging judging_;
  std::vector<std::string> suites_;
  std::vector<Candidate> candidates_;
};

/// The pick with what every other cell would cost. Throws Error(kUsage) for a suite that the run
/// does not have.
Pick pick_cell(const RunData& run, const Need& need);

/// The reasons and a table of all cells, every line a TOML comment; before the winner's profile
/// both are one file that runs.
std::string pick_text(const Pick& pick);

/// One object, "format": "ds4-pick-1"; `profile` is the winner's, as TOML.
std::string pick_json(const Pick& pick, const std::string& profile);

}  // namespace ds4::reports
