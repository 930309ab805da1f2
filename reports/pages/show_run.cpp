#include "reports/pages/show_run.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "reports/pages/escape.h"
#include "reports/pages/show.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostNamed = 12;  // in a message

std::string name_of(const std::string& suite, const std::string& case_id) {
  return suite + "/" + case_id;
}

[[noreturn]] void fail(const std::string& what, const std::vector<std::string>& there_are) {
  std::string hint = "There are: ";
  for (size_t i = 0; i < there_are.size() && i < kMostNamed; ++i) {
    hint += (i > 0 ? ", " : "") + clean_line(there_are[i]);
  }
  if (there_are.size() > kMostNamed) {
    hint += " and " + std::to_string(there_are.size() - kMostNamed) + " more";
  }
  throw Error(ErrorCode::kUsage, what, hint + ".");
}

std::string numbered(const RunData& run, size_t cell) {
  return std::to_string(cell + 1) + " " + run.cells[cell].label;
}

size_t find_cell(const RunData& run, const std::string& word) {
  const size_t n = run.cells.size();
  size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error == std::errc() && end == word.data() + word.size()) {
    if (number >= 1 && number <= n) return number - 1;
  }
  std::vector<std::string> all;
  std::vector<size_t> found;
  for (size_t i = 0; i < n; ++i) {
    if (run.cells[i].label == word) return i;
    if (run.cells[i].label.starts_with(word)) found.push_back(i);
    all.push_back(numbered(run, i));
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    fail("the run has " + std::to_string(n) + " cells, and none has the number or label `" + word +
             "`" + (word.find('/') != std::string::npos ? "; a case is named behind its cell" : ""),
         all);
  }
  std::vector<std::string> several;
  for (const size_t i : found) several.push_back(numbered(run, i));
  fail("the labels of " + std::to_string(found.size()) + " cells begin with `" + word + "`",
       several);
}

std::vector<std::string> cases_of(const RunData& run, const CellRow& cell) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  const auto add = [&](const std::string& name) {
    if (seen.insert(name).second) names.push_back(name);
  };
  for (const PlannedCase& planned : cell.cases) add(name_of(planned.suite, planned.case_id));
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key == cell.key) add(name_of(attempt.suite, attempt.case_id));
  }
  return names;
}

void check_case(const RunData& run, const CellRow& cell, const std::string& prefix) {
  const std::vector<std::string> names = cases_of(run, cell);
  if (std::any_of(names.begin(), names.end(),
                  [&](const std::string& name) { return name.starts_with(prefix); })) {
    return;
  }
  // Those of the same suite, if there are any: else the suites.
  const std::string suite = prefix.substr(0, prefix.find('/'));
  std::vector<std::string> near, suites;
  for (const std::string& name : names) {
    const std::string of = name.substr(0, name.find('/'));
    if (of == suite) near.push_back(name);
    if (suites.empty() || suites.back() != of) suites.push_back(of);
  }
  fail("no case of cell " + clean_line(cell.label) + " begins with `" + prefix + "`",
       near.empty() ? suites : near);
}

std::string heading(const RunData& run, size_t place) {
  const CellRow& cell = run.cells[place];
  const CellStatus status = cell_status(run, cell);
  std::string out = numbered(run, place);
  out = clean_line(out) + ": " + status.outcome;
  if (status.n_planned > 0) {
    out += ", " + std::to_string(status.n_ok) + " of " + std::to_string(status.n_planned) +
           " cases answered";
  }
  if (status.n_correct + status.n_wrong + status.n_invalid > 0) {
    out += ", " + std::to_string(status.n_correct) + " correct";
    if (status.n_invalid > 0) out += ", " + std::to_string(status.n_invalid) + " invalid";
  }
  if (status.seconds > 0) out += ", " + format_seconds(status.seconds);
  out += "\n";
  if (status.n_launches == 0 && !status.message.empty()) {
    out += "  " + clean_line(status.message) + "\n";  // why it was left out
  }
  return out;
}

bool failed(const LaunchRow& launch) {
  return launch.outcome != "ok" && launch.outcome != "running";
}

// One cell: how its launches failed, then its cases.
std::string cell_text(const RunData& run, size_t place, const Shown& shown, bool full) {
  const CellRow& cell = run.cells[place];
  std::string out = heading(run, place);
  for (const LaunchRow& launch : run.launches) {
    if (launch.cell_key != cell.key || !failed(launch)) continue;
    out += launch_text(launch, shown.one_cell, full);
  }
  std::vector<const StoredAttempt*> attempts;
  std::set<std::string> tried;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key != cell.key) continue;
    attempts.push_back(&attempt);
    tried.insert(name_of(attempt.suite, attempt.case_id));
  }
  out += attempt_lines(attempts);
  int missing = 0;
  for (const PlannedCase& planned : cell.cases) {
    const std::string name = name_of(planned.suite, planned.case_id);
    if (tried.contains(name)) continue;
    ++missing;
    if (shown.one_cell) out += "  " + clean_line(name) + "  not answered\n";
  }
  if (missing > 0 && !shown.one_cell) {
    out += "  " + std::to_string(missing) + (missing == 1 ? " case" : " cases") + " not answered\n";
  }
  return out;
}

// The cases of a cell that are opened, and how launches failed that did.
std::string opened_text(const RunData& run, size_t place, const Shown& shown, bool full) {
  const CellRow& cell = run.cells[place];
  std::string out;
  std::set<std::string> tried;
  std::set<int> launches;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key != cell.key || !shown.opens(attempt)) continue;
    out += (out.empty() ? "" : "\n") + attempt_text(attempt, full);
    tried.insert(name_of(attempt.suite, attempt.case_id));
    launches.insert(attempt.launch);
  }
  bool unanswered = false;
  for (const PlannedCase& planned : cell.cases) {
    const std::string name = name_of(planned.suite, planned.case_id);
    if (!name.starts_with(shown.case_prefix) || tried.contains(name)) continue;
    unanswered = true;
    out += (out.empty() ? "" : "\n") + clean_line(name) + ": not answered\n";
  }
  for (const LaunchRow& launch : run.launches) {
    if (launch.cell_key != cell.key || !failed(launch)) continue;
    if (unanswered || launches.contains(launch.number)) out += launch_text(launch, true, full);
  }
  return heading(run, place) + out;
}

}  // namespace

bool Shown::opens(const StoredAttempt& attempt) const {
  return !case_prefix.empty() && name_of(attempt.suite, attempt.case_id).starts_with(case_prefix);
}

Shown find_shown(const RunData& run, const std::vector<std::string>& words) {
  Shown shown;
  if (run.cells.empty()) throw Error(ErrorCode::kUsage, "the run has no cells", "");
  const bool names_cell = words.size() == 2 || (words.size() == 1 && run.cells.size() > 1);
  if (names_cell) {
    shown.one_cell = true;
    shown.cells = {find_cell(run, words[0])};
  } else {
    for (size_t i = 0; i < run.cells.size(); ++i) shown.cells.push_back(i);
    shown.one_cell = shown.cells.size() == 1;
  }
  if (words.size() == 2 || (words.size() == 1 && !names_cell)) {
    shown.case_prefix = words.back();
    check_case(run, run.cells[shown.cells[0]], shown.case_prefix);
  }
  return shown;
}

std::string render_show(const RunData& run, const Shown& shown, bool full) {
  std::string out =
      "run " + run.run.id.substr(0, 8) + ", " + clean_line(run.run.profile_name) + ", " +
      std::to_string(run.cells.size()) + (run.cells.size() == 1 ? " cell" : " cells") + ", begun " +
      clean_line(run.run.started_at) + (run.run.finished_at.empty() ? ", not finished" : "") + "\n";
  for (const size_t place : shown.cells) {
    out += "\n" + (shown.case_prefix.empty() ? cell_text(run, place, shown, full)
                                             : opened_text(run, place, shown, full));
  }
  return out;
}

}  // namespace ds4::reports
