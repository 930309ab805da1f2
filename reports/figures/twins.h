// Twins: two greedy answers of one suite to the same prompt, which should be one answer. Within a
// cell (a repeat, a cache hit, another concurrency) and across cells that differ in one setting.
// docs/design/agreement.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/figures/figure.h"
#include "reports/figures/run_data.h"

namespace ds4::reports {

struct Twins {
  const StoredAttempt* first = nullptr;
  const StoredAttempt* later = nullptr;
  bool timed = false;  // the times of both count (timed_attempts())
  bool agree() const { return first->text_id == later->text_id; }
  bool same_launch() const { return first->launch == later->launch; }
};

/// Within a cell: each answer with the first of its launch to the same prompt, and the first of
/// each launch with the first of the cell. `selection` is about the later one. Empty for a cell
/// that does not decode greedily. Pointers into `run`.
std::vector<Twins> twins_within(const RunData& run, const Selection& selection);

/// Across cells: each answer of the selected cell with the first to the same prompt in another.
std::vector<Twins> twins_across(const RunData& run, const Selection& selection,
                                const std::string& reference_key);

/// A cell and one that it is held against: places in RunData::cells, and the setting's axis.
struct CellPairing {
  size_t reference = 0, cell = 0, axis = 0;
};

/// Every cell with each cell that has a setting's first value and is otherwise the same.
std::vector<CellPairing> pairings(const RunData& run);

/// The cells that a cell is held against: one for each swept setting whose first value it has not.
std::vector<std::string> reference_cells(const RunData& run, const std::string& cell_key);

/// What a pair metric says of a pair: agreement and parity 0 or 1, ttft_ratio and decode_ratio
/// later / first; nothing where it is undefined.
std::optional<double> twin_value(const Twins& twins, const std::string& metric);

/// True for `agreement`, `ttft_ratio`, `parity` and `decode_ratio`.
bool is_twin_metric(const std::string& metric);
/// True for the last two of these.
bool is_across_cells(const std::string& metric);

/// One of these metrics over all pairs of the selection: for shares the mean over prompts (the
/// pairs of a prompt are averaged first) with Wilson's interval, for ratios the median.
std::optional<Figure> twin_figure(const RunData& run, const Selection& selection,
                                  const std::string& metric);

/// The same of pairs that were chosen otherwise; at least one.
std::optional<Figure> twin_figure(const std::vector<Twins>& pairs, const Selection& selection,
                                  const std::string& metric);

}  // namespace ds4::reports
