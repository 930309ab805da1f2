// Which cell and which case of one run is compared with which of another.
#pragma once

#include <string>
#include <vector>

#include "reports/figures/run_data.h"

namespace ds4::reports {

struct CellPair {
  CellRow base, now;
  const std::string& label() const { return now.label; }
};

/// Cells of equal key, then of those left the ones of equal label, then the last one of each run if
/// only one is left. Cells without a counterpart are named in `unpaired`.
std::vector<CellPair> pair_cells(const RunData& base, const RunData& now,
                                 std::vector<std::string>& unpaired);

/// Removes from both runs the attempts at cases whose prompts differ although their names agree
/// (other parameters, another tokenizer), and the attempts of suites whose answers were graded by
/// different versions of the scorer; names them in `unpaired`. Reads and forgets one prompt at a
/// time.
void keep_comparable(Store& base_store, RunData& base, Store& now_store, RunData& now,
                     const std::vector<CellPair>& pairs, std::vector<std::string>& unpaired);

}  // namespace ds4::reports
