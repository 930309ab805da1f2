// The traces that two runs stored for the same cases, or that a run and a file hold, compared.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "reports/compare/pairs.h"
#include "reports/trace/summary.h"

namespace ds4::reports {

struct TraceChange {
  std::string cell, suite;  // label of the cell in the new run
  TraceSummary summary;
};

/// Of every suite of every pair of cells whose cases have traces in both runs, by case: the first
/// answer to each that is ok. Reads and forgets one pair of traces at a time.
std::vector<TraceChange> compare_stored_traces(Store& base_store, const RunData& base,
                                               Store& now_store, const RunData& now,
                                               const std::vector<CellPair>& pairs);

/// Writes every trace of a run as JSON lines, "ds4-traces-1" (docs/traces.md). Returns how many;
/// throws Error(kUsage) when there is none.
int64_t write_traces(Store& store, const std::string& run_id, const std::filesystem::path& file);

/// A run's traces against those of such a file, for the cases of equal name and prompt.
struct TraceFileComparison {
  std::string file, source;  // what the file says it is from
  RunRow now;
  std::vector<TraceChange> traces;
  std::vector<std::string> not_compared;
};
/// Throws Error(kIo) for a damaged file, Error(kUsage) when nothing can be compared.
TraceFileComparison compare_with_trace_file(const std::filesystem::path& file, Store& store,
                                            const std::string& run_id);

std::string trace_file_text(const TraceFileComparison& comparison, bool colour);
std::string trace_file_json(const TraceFileComparison& comparison);

}  // namespace ds4::reports
