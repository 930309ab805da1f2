// A gate `max = "floor"` in one cell: which memory is held against the floor, and by what bound.
#pragma once

#include "reports/verdict/verdict.h"

namespace ds4::reports {

/// The gate as a bound of a figure. A cell whose GPU has a memory of its own: `device_memory`, by
/// what the GPU has less the floor. Any other: `peak_machine_memory`, what the guard saw in use of
/// the machine, by what that has less the floor. The floor is the cell's own where floors vary.
/// Throws Error(kIo) when what the store says of machine or cell is damaged.
Gate gate_at_floor(const Gate& gate, const RunData& run, const CellRow& cell);

}  // namespace ds4::reports
