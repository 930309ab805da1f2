// What the two forms of drafting (mtp.cpp, dspark.cpp) share with drafter.cpp. Private to these.
#pragma once

#include "engine/model/drafter.h"

namespace ds4::model {

std::unique_ptr<Drafter> make_classic_drafter(const weights::ModelWeights& weights,
                                              ops::Backend& backend,
                                              const EngineSettings& settings);
std::unique_ptr<Drafter> make_dspark_drafter(const weights::ModelWeights& weights,
                                             ops::Backend& backend, const EngineSettings& settings,
                                             int capacity);

DraftMemory new_draft_memory(ops::Backend& backend, const weights::ModelConfig& config, int blocks,
                             const EngineSettings& settings);

/// The same pass over other rows.
Pass with_rows(const Pass& pass, Workspace& at, ops::Segments segments);

/// The workspace from row `row` on, as far as drafting reads what lies there: h, mix, x and the
/// plain angles. The rest stays where it is, to be written anew.
Workspace from_row(const Workspace& at, int row, int value_bytes);

/// Copies of rows [row, row + n) of `values` and positions first.. of a ring of `slots` rows.
enum class Direction { kToRing, kFromRing };
void copy_rows(ops::Backend& ops, Direction direction, ops::Values values, int row,
               ops::Values ring, int64_t slots, int64_t first, int n);

}  // namespace ds4::model
