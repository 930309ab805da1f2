#include "runners/progress/state.h"

#include <map>
#include <tuple>

#include "reports/figures/figure.h"
#include "reports/stats/stats.h"

namespace ds4::runners {

void Tally::add(const reports::AttemptRow& attempt, const std::optional<reports::ScoreRow>& score) {
  if (attempt.status != "ok") return;
  ++answered;
  if (score) {
    ++graded;
    correct += score->grade == "correct";
  }
  if (const auto rate = reports::attempt_metric(attempt, "decode_rate")) {
    decode_rates.push_back(*rate);
  }
}

void TurnState::count(const Tally& tally) {
  answered = tally.answered;
  graded = tally.graded;
  correct = tally.correct;
  decode_rate = reports::median(tally.decode_rates);
}

std::vector<TurnState> turn_states(const std::vector<reports::TurnRow>& queue,
                                   const std::vector<reports::CellRow>& cells,
                                   const std::vector<reports::LaunchRow>& launches,
                                   const std::vector<reports::StoredAttempt>& attempts) {
  // The k-th answer to a case belongs to the k-th turn of its cell.
  std::map<std::tuple<std::string, std::string, std::string>, int> answers;
  std::map<std::pair<std::string, int>, Tally> tallies;  // by cell and k
  for (const reports::StoredAttempt& attempt : attempts) {
    if (attempt.status != "ok") continue;
    const int k = ++answers[{attempt.cell_key, attempt.suite, attempt.case_id}];
    tallies[{attempt.cell_key, k}].add(attempt, attempt.score);
  }
  std::map<std::string, const reports::CellRow*> by_key;
  for (const reports::CellRow& cell : cells) by_key.emplace(cell.key, &cell);
  std::map<std::string, int> turns_of;
  std::vector<TurnState> turns;
  for (const reports::TurnRow& turn : queue) {
    const int k = ++turns_of[turn.cell_key];
    const reports::CellRow& cell = *by_key.at(turn.cell_key);
    TurnState state;
    state.label = cell.label + (turn.again_of >= 0 ? " again" : "");
    state.n_cases = static_cast<int>(cell.cases.size());
    state.count(tallies[{turn.cell_key, k}]);
    if (turn.state == "skipped" || turn.state == "refused") {
      state.outcome = turn.state;
    } else if (turn.state != "waiting") {
      // Launches are not told by turn: with repeats each is given the cell's k-th.
      int launch = 0;
      for (const reports::LaunchRow& row : launches) {
        if (row.cell_key != turn.cell_key || ++launch > k) continue;
        state.outcome = row.outcome;
        if (launch == k) state.seconds = row.seconds;
      }
    }
    turns.push_back(std::move(state));
  }
  return turns;
}

}  // namespace ds4::runners
