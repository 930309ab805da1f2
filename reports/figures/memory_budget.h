// How much memory a cell could take: what the device has, less what its profile keeps free.
#pragma once

#include <optional>

#include "reports/figures/run_data.h"

namespace ds4::reports {

struct MemoryBudget {
  double capacity = 0;          // bytes: the GPU's own memory where it has some, else the machine's
  std::optional<double> floor;  // bytes that `guard.floor` or `limits.memory_floor` keeps free
  bool of_gpu = false;
  double usable() const { return capacity - floor.value_or(0); }
};

/// Nothing where neither the run's machine nor its workers told how much memory there is.
std::optional<MemoryBudget> memory_budget(const RunData& run, const CellRow& cell);

}  // namespace ds4::reports
