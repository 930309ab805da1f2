// What figures, charts and picks read in the settings of a run's cells: JSON that is read once, for
// it is asked for with each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"

namespace ds4::reports {

using Choice = std::vector<size_t>;  // which value of each axis a cell has

struct CellFacts {
  bool greedy = true;          // drawn tokens may differ; rows that tell nothing are older
  int64_t context_length = 0;  // the engine was given room for; 0 = the target has no such setting
  std::string checkpoint;      // as the profile names it, else its path
  std::optional<Choice> choice;  // nothing in rows older than zips and conditions
};

struct RunFacts {
  std::vector<CellFacts> cells;  // in the order of RunData::cells
  bool several_checkpoints = false;
};

/// Of all cells. Read when first asked for, and again when there are more or fewer cells.
const RunFacts& facts_of(const RunData& run);

/// Of one of its cells.
const CellFacts& facts_of(const RunData& run, const std::string& cell_key);

}  // namespace ds4::reports
