#include "reports/figures/run_data.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "reports/outcomes/outcome.h"

namespace ds4::reports {
namespace {

using CaseName = std::pair<std::string, std::string>;  // suite, case id

// Numbers in numeric order before texts in alphabetic order.
bool tag_less(const std::string& a, const std::string& b) {
  double x = 0, y = 0;
  const bool a_number =
      std::from_chars(a.data(), a.data() + a.size(), x).ptr == a.data() + a.size() && !a.empty();
  const bool b_number =
      std::from_chars(b.data(), b.data() + b.size(), y).ptr == b.data() + b.size() && !b.empty();
  if (a_number != b_number) return a_number;
  if (a_number && x != y) return x < y;
  return a < b;
}

}  // namespace

RunData load_run(Store& store, const std::string& run_id, bool with_texts) {
  RunData data;
  data.run = store.run(run_id);
  data.cells = store.cells(data.run.id);
  data.parts = store.parts(data.run.id);
  data.launches = store.launches(data.run.id);
  data.launch_samples = store.launch_samples(data.run.id);
  data.attempts = store.attempts(data.run.id, with_texts);
  data.queue = store.queue(data.run.id);
  return data;
}

void make_indexes(const RunData& run) {
  run.cells.make_index();
  run.launches.make_index();
  run.launch_samples.make_index();
  run.attempts.make_index();
  run.queue.make_index();
}

bool CellStatus::failed() const {
  return outcome_class(outcome).effect == Effect::kFailed;
}

std::set<int> invalid_launches(const RunData& run, const std::string& cell_key) {
  std::set<int> numbers;
  for (const LaunchRow& launch : run.launches.of(cell_key)) {
    if (outcome_class(launch.outcome).effect == Effect::kInvalid) numbers.insert(launch.number);
  }
  return numbers;
}

std::vector<const StoredAttempt*> timed_attempts(const RunData& run, const std::string& cell_key) {
  const std::set<int> invalid = invalid_launches(run, cell_key);
  std::vector<const StoredAttempt*> timed;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.status != "ok") continue;
    const bool spoilt = attempt.outcome == "CONTAMINATED" || attempt.outcome == "MISCOUNTED";
    if (spoilt || invalid.contains(attempt.launch)) continue;
    timed.push_back(&attempt);
  }
  return timed;
}

Skipped skipped_of(const RunData& run, const std::string& cell_key) {
  Skipped skipped;
  for (const LaunchRow& launch : run.launches.of(cell_key)) {
    // One that ended before its target was ready has nothing to say.
    if (!launch.target.empty()) skipped = launch.skipped;
  }
  if (skipped.empty()) return skipped;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.status != "ok") continue;
    skipped.erase(attempt.suite);
    skipped.erase(attempt.suite + "/" + attempt.case_id);
  }
  return skipped;
}

const std::string* lack_of(const Skipped& skipped, const PlannedCase& planned) {
  for (const std::string& name : {planned.suite, planned.suite + "/" + planned.case_id}) {
    if (const auto found = skipped.find(name); found != skipped.end()) return &found->second;
  }
  return nullptr;
}

CellStatus cell_status(const RunData& run, const CellRow& cell) {
  CellStatus status;
  status.outcome = "not run";
  const Skipped skipped = skipped_of(run, cell.key);
  status.n_planned = static_cast<int>(
      std::count_if(cell.cases.begin(), cell.cases.end(),
                    [&](const PlannedCase& planned) { return !lack_of(skipped, planned); }));
  status.n_skipped = static_cast<int>(cell.cases.size()) - status.n_planned;
  for (const LaunchRow& launch : run.launches.of(cell.key)) {
    ++status.n_launches;
    status.seconds += launch.seconds;
    status.outcome = launch.outcome;  // launches come in the order they were made
    status.phase = launch.phase;
    status.message = launch.message;
  }
  for (const TurnRow& turn : run.queue.of(cell.key)) {
    if (status.n_launches > 0 || turn.reason.empty()) continue;
    status.outcome = turn.state == "refused" ? "PREFLIGHT_REFUSED" : turn.state;
    status.message = turn.reason;
  }
  std::map<CaseName, std::string> grades;  // of the newest graded attempt; "" = not graded
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (attempt.status != "ok") continue;
    std::string& grade = grades[{attempt.suite, attempt.case_id}];
    if (attempt.score) grade = attempt.score->grade;
  }
  status.n_ok = static_cast<int>(grades.size());
  for (const auto& [name, grade] : grades) {
    status.n_correct += grade == "correct";
    status.n_wrong += grade == "wrong";
    status.n_invalid += grade == "invalid";
  }
  return status;
}

CellRow without_cases(CellRow cell) {
  cell.cases = std::vector<PlannedCase>();  // `{}` would keep their room
  return cell;
}

bool Selection::matches(const std::string& suite_name,
                        const std::map<std::string, std::string>& t) const {
  if (!suite.empty() && suite != suite_name) return false;
  return std::all_of(tags.begin(), tags.end(), [&](const auto& tag) {
    const auto found = t.find(tag.first);
    return found != t.end() && found->second == tag.second;
  });
}

std::vector<std::string> suites_of(const RunData& run, const std::string& cell_key) {
  std::vector<std::string> suites;
  const auto add = [&](const std::string& suite) {
    if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
  };
  if (const CellRow* cell = run.cells.find(cell_key)) {
    for (const PlannedCase& planned : cell->cases) add(planned.suite);
  }
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) add(attempt.suite);
  return suites;
}

std::vector<std::string> tag_values(const RunData& run, const Selection& selection,
                                    const std::string& tag) {
  std::set<std::string, bool (*)(const std::string&, const std::string&)> values(tag_less);
  const auto add = [&](const std::string& suite, const std::map<std::string, std::string>& tags) {
    const auto found = tags.find(tag);
    if (found != tags.end() && selection.matches(suite, tags)) values.insert(found->second);
  };
  if (const CellRow* cell = run.cells.find(selection.cell_key)) {
    for (const PlannedCase& planned : cell->cases) add(planned.suite, planned.tags);
  }
  for (const StoredAttempt& attempt : run.attempts.of(selection.cell_key)) {
    add(attempt.suite, attempt.tags);
  }
  return {values.begin(), values.end()};
}

}  // namespace ds4::reports
