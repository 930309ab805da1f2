// Which cells of a sweep are held against which: a cell against the one that has a setting's first
// value and is otherwise the same. Decides pairs; compares nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "reports/store/store.h"

namespace ds4::reports {

using Choice = std::vector<size_t>;  // which value of each axis a cell has

/// Of every cell, as its settings say. Rows older than zips and conditions do not say; their cells
/// were all combinations of `n_values` values an axis, the last fastest. Nothing when neither
/// tells.
std::vector<Choice> choices_of(const std::vector<CellRow>& cells,
                               const std::vector<size_t>& n_values);

/// The cell with the first value of axis `index` and else the values of cell `at`, if there is one.
std::optional<size_t> reference_of(const std::vector<Choice>& choices, size_t index, size_t at);

}  // namespace ds4::reports
