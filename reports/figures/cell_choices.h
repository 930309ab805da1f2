// Which cells of a sweep are held against which: a cell against the one that has a setting's first
// value and is otherwise the same. Decides pairs; compares nothing.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "reports/figures/cell_facts.h"

namespace ds4::reports {

/// The choices of all cells of a sweep, in the order of the cells.
class Choices {
 public:
  /// As the cells' settings say. Rows older than zips and conditions do not say; their cells were
  /// all combinations of `n_values` values an axis, the last fastest. Empty when neither tells.
  Choices(const RunData& run, const std::vector<size_t>& n_values);

  bool empty() const { return all_.empty(); }
  size_t n_axes() const { return all_.empty() ? 0 : all_.front().size(); }

  /// The cell with the first value of axis `index` and else the values of cell `at`, if there is
  /// one and it is another.
  std::optional<size_t> reference_of(size_t index, size_t at) const;

 private:
  bool read(const RunData& run, const std::vector<size_t>& n_values);

  std::vector<Choice> all_;
  std::map<Choice, size_t> places_;  // of each the first
};

}  // namespace ds4::reports
