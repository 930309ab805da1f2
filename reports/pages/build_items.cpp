// The cases of a page, opened up: prompt, answer, what was taken from it and why it was graded so.
#include <algorithm>
#include <tuple>

#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/limits.h"
#include "reports/pages/show.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxItemsPerSuite = 40;  // of a cell
constexpr size_t kCorrectExamples = 5;    // correct answers shown beside the others
constexpr size_t kMaxParts = 24;          // of an item: a case may have many turns

// 0 = look at it first.
int rank(const StoredAttempt& attempt) {
  const std::string grade = attempt.score ? attempt.score->grade : "";
  if (grade == "wrong") return 0;
  if (grade == "invalid") return 1;
  return grade == "correct" ? 3 : 2;
}

Item open_up(const StoredAttempt& attempt, const PageContext& context) {
  const std::string grade = attempt.score ? attempt.score->grade : "not graded";
  Item item;
  item.title = attempt.suite + "/" + attempt.case_id + ": " + grade;
  if (!attempt.outcome.empty() && attempt.outcome != "ok") item.title += ", " + attempt.outcome;
  if (context.many_cells()) {
    item.title += " (" + context.run.cells.find(attempt.cell_key)->label + ")";
  }
  item.tone = grade == "correct" ? Tone::kGood : grade == "wrong" ? Tone::kBad : Tone::kUnsure;
  bool all = true;
  const auto add = [&](const std::string& label, const std::string& text) {
    if (text.empty()) return;
    const bool cut = !context.settings.full && text.size() > kTextBytes;
    const bool dropped = !context.settings.full && item.parts.size() == kMaxParts;
    all = all && !cut && !dropped;
    if (!dropped) item.parts.push_back({label, cut ? head_and_tail(text, kTextBytes) : text});
  };
  add("prompt", attempt.prompt);
  add("answer", attempt.text);
  if (attempt.reasoning != attempt.text) add("reasoning", attempt.reasoning);
  if (attempt.tool_calls != "[]") add("tool calls", attempt.tool_calls);
  int turn = 1;
  for (const ExchangeRow& exchange : attempt.exchanges) {
    const std::string of_turn = ", turn " + std::to_string(++turn);
    add("said" + of_turn, said_text(exchange));
    add("answer" + of_turn, exchange.text);
    if (exchange.reasoning != exchange.text) add("reasoning" + of_turn, exchange.reasoning);
    if (exchange.tool_calls != "[]") add("tool calls" + of_turn, exchange.tool_calls);
  }
  add("expected", attempt.expected);
  if (attempt.score) {
    add("extracted", attempt.score->extracted);
    add("grading", attempt.score->explanation);
  }
  if (!attempt.note.empty()) {
    add("outcome", attempt.outcome + ": " + attempt.note);
  }
  item.parts.push_back({"tokens", std::to_string(attempt.prompt_tokens) + " prompt, " +
                                      std::to_string(attempt.completion_tokens) +
                                      " completion, finish reason " + attempt.finish_reason});
  if (!all) {
    const CellRow* cell = context.run.cells.find(attempt.cell_key);
    const std::string which = context.many_cells() ? " '" + cell->label + "' " : " ";
    item.parts.push_back({"all of it", "ds4-sweep show " + context.run.run.id.substr(0, 8) + which +
                                           attempt.suite + "/" + attempt.case_id + " --full"});
  }
  return item;
}

// An answer that may be shown, and what decides whether it comes before another.
struct Candidate {
  int rank = 0;
  size_t place = 0;  // among those of its suite and cell with the same rank
  size_t group = 0;  // of suite and cell, in the order of the page
  const StoredAttempt* attempt = nullptr;
};

std::vector<Candidate> candidates_of(const PageContext& context) {
  std::vector<Candidate> all;
  size_t group = 0;
  for (const CellRow& cell : context.run.cells) {
    std::map<std::string, std::vector<Candidate>> suites;
    for (const StoredAttempt& attempt : context.run.attempts.of(cell.key)) {
      if (attempt.status == "ok") suites[attempt.suite].push_back({rank(attempt), 0, 0, &attempt});
    }
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      std::map<int, size_t> n_of_rank;
      for (Candidate& candidate : suites[suite]) {
        candidate.place = n_of_rank[candidate.rank]++;
        candidate.group = group;
        all.push_back(candidate);
      }
      ++group;
    }
  }
  return all;
}

}  // namespace

void add_quality_items(PageContext& context, Section& section) {
  std::vector<Candidate> all = candidates_of(context);
  if (all.empty()) return;
  const size_t n_all = all.size();
  // Round by round: the first wrong answer of every suite and cell, the second of each, ...
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.rank, a.place) < std::tie(b.rank, b.place);
  });
  struct Shown {
    Candidate candidate;
    Item item;
  };
  std::vector<Shown> shown;
  std::map<size_t, size_t> n_of_group;
  size_t bytes = 0;
  for (const Candidate& candidate : all) {
    if (!context.settings.full) {
      if (candidate.rank == 3 && candidate.place >= kCorrectExamples) continue;
      if (n_of_group[candidate.group] == kMaxItemsPerSuite) continue;
    }
    StoredAttempt with_texts = *candidate.attempt;
    context.store.load_texts(with_texts);
    Item item = open_up(with_texts, context);
    const size_t more = html_bytes(item);
    if (!context.settings.full && bytes + more > kAnswersBytes) break;
    bytes += more;
    ++n_of_group[candidate.group];
    shown.push_back({candidate, std::move(item)});
  }
  std::stable_sort(shown.begin(), shown.end(), [](const Shown& a, const Shown& b) {
    return a.candidate.group < b.candidate.group;
  });
  for (Shown& one : shown) section.items.push_back(std::move(one.item));
  section.paragraphs.push_back(
      std::to_string(shown.size()) + " of " + std::to_string(n_all) + " answers open below" +
      (context.settings.full
           ? "."
           : ": those that are not correct first, at most " + std::to_string(kMaxItemsPerSuite) +
                 " of a suite in a cell, then " + std::to_string(kCorrectExamples) +
                 " correct ones, as far as the page has room. ds4-sweep show " +
                 context.run.run.id.substr(0, 8) +
                 (context.many_cells() ? " CELL CASE --full" : " CASE --full") +
                 " has each of them whole."));
}

}  // namespace ds4::reports
