#include "runners/progress/left.h"

#include <algorithm>

namespace ds4::runners {
namespace {

// The cases of the launch but those that ended before the worker was ready (probes of the machine).
size_t cases_when_ready(const RunState& state) {
  const auto before = state.cases_done - static_cast<int>(state.case_ends_s.size());
  return static_cast<size_t>(std::max(0, state.n_cases - before));
}

// Seconds a case took over the turns that ended; nothing before one has with answers.
std::optional<double> seconds_per_case(const RunState& state) {
  double seconds = 0;
  int answered = 0;
  for (const TurnState& turn : state.turns) {
    if (turn.outcome.empty() || turn.answered == 0 || turn.seconds == 0) continue;
    seconds += turn.seconds;
    answered += turn.answered;
  }
  if (answered == 0) return std::nullopt;
  return seconds / answered;
}

}  // namespace

std::optional<double> left_in_cell(const RunState& state) {
  if (state.ready_s < 0 || state.n_cases == 0) return std::nullopt;
  const double now = state.elapsed_s - state.ready_s;
  const auto done = state.case_ends_s.size();
  const size_t n = cases_when_ready(state);
  if (done >= n) return 0;
  const bool pattern = n > 0 && state.pattern_s.size() == n;
  if (done == 0) {
    if (!pattern) return std::nullopt;
    return std::max(0.0, state.pattern_s.back() - now);
  }
  const double so_far = state.case_ends_s.back();
  double to_come = so_far / static_cast<double>(done) * static_cast<double>(n - done);
  if (pattern && state.pattern_s[done - 1] > 0) {
    const double stretch = so_far / state.pattern_s[done - 1];
    to_come = (state.pattern_s.back() - state.pattern_s[done - 1]) * stretch;
  }
  return std::max(0.0, to_come - (now - so_far));  // the present case has run that long
}

std::optional<double> left_in_run(const RunState& state) {
  std::optional<double> per_case = seconds_per_case(state);
  std::optional<double> here = left_in_cell(state);
  if (!per_case && here) {
    per_case = (state.elapsed_s + *here) / std::max(1, state.n_cases);
  }
  if (!per_case) return std::nullopt;
  if (!here && state.cell > 0 && static_cast<size_t>(state.cell) <= state.turns.size()) {
    const TurnState& turn = state.turns[static_cast<size_t>(state.cell) - 1];
    here = std::max(0.0, *per_case * turn.n_cases - state.elapsed_s);
  }
  double left = here.value_or(0);
  for (size_t i = static_cast<size_t>(std::max(0, state.cell)); i < state.turns.size(); ++i) {
    const TurnState& turn = state.turns[i];
    if (turn.outcome.empty()) left += *per_case * std::max(0, turn.n_cases - turn.answered);
  }
  return left;
}

}  // namespace ds4::runners
