// What a run is doing now, for whoever looks on: kept by the walk through the queue and by the
// supervisor of the launch, from what worker and guard report. What is shown of it: view.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/store/store.h"

namespace ds4::runners {

/// What the answers of a cell come to, counted as they arrive.
struct Tally {
  int answered = 0;  // attempts that are "ok"
  int graded = 0, correct = 0;
  std::vector<double> decode_rates;  // tok/s, of the answers that have one

  void add(const reports::AttemptRow& attempt, const std::optional<reports::ScoreRow>& score);
};

/// A turn of the run's queue.
struct TurnState {
  std::string label = {};  // its cell's, and "again" where a slow one is repeated
  /// A class of its newest launch, "skipped" or "refused"; "" as long as it has none.
  std::string outcome = {};
  int n_cases = 0;  // planned
  int answered = 0, graded = 0, correct = 0;
  std::optional<double> decode_rate = {};  // tok/s, the median of its answers
  double seconds = 0;                      // of its launches

  void count(const Tally& tally);  // the answers of all its launches
};

/// The machine's memory as the guard read it last.
struct GuardedMemory {
  int64_t total_bytes = 0, available_bytes = 0;
  int64_t floor_bytes = 0;  // that has to stay available in this phase
};

/// Memory of the GPUs that the launch computes on, where NVML tells; -1 = it does not.
struct DeviceMemory {
  int64_t used_bytes = -1;  // by the launch
  int64_t free_bytes = -1;  // on the device; not told of one that shares the machine's memory
};

struct RunState {
  std::string run_id;
  double run_elapsed_s = 0;      // since this process took it up
  int cell = 0, n_cells = 0;     // the turn, 1-based
  std::vector<TurnState> turns;  // of the queue, in order
  /// When the cases of the newest turn that answered all of its cases ended, since its worker was
  /// ready; empty before there is one.
  std::vector<double> pattern_s;

  // Of the launch that runs.
  std::string cell_label, phase, phase_detail, suite, case_id;
  int cases_done = 0, n_cases = 0;
  int64_t prompt_done = 0, completion_done = 0;  // tokens of the cases in flight
  double elapsed_s = 0;
  double ready_s = -1;              // when the worker was ready; -1 = it is not
  std::vector<double> case_ends_s;  // since then, of those that ended since then
  std::optional<double> rate;       // tok/s in flight: of the answers, or of prompts before them
  std::optional<double> most;       // tok/s the machine can give for that, where it is known
  Tally tally;                      // of this turn, earlier launches included
  std::optional<GuardedMemory> memory;
  std::optional<DeviceMemory> device;
  std::string note;  // a sentence that is to stay; said once
};

/// A run's queue as it was stored: what is behind it and what is to come.
std::vector<TurnState> turn_states(const std::vector<reports::TurnRow>& queue,
                                   const std::vector<reports::CellRow>& cells,
                                   const std::vector<reports::LaunchRow>& launches,
                                   const std::vector<reports::StoredAttempt>& attempts);

}  // namespace ds4::runners
