// The order in which a run launches its cells, with repeats; pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "reports/store/store.h"

namespace ds4::runners::sweep {

struct QueuedCell {
  std::string key;
  int64_t need_bytes = 0;  // predicted memory of all owners; 0 = not predicted
};

/// Each cell `repeats` times, in rounds: no cell is repeated before every other had its turn, so
/// that what drifts over the hours is not mistaken for a difference between cells. `order` holds
/// within a round; a random one is drawn anew for each, the same for the same seed on any machine.
std::vector<reports::TurnRow> make_queue(const profiles::SweepSection& sweep,
                                         const std::vector<QueuedCell>& cells);

}  // namespace ds4::runners::sweep
