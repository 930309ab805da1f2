// The cases of a page, opened up: prompt, answer, what was taken from it and why it was graded so.
#include <algorithm>

#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/show.h"

namespace ds4::reports {
namespace {

// Keeps a page under 2 MB: about 4 KB an item.
constexpr size_t kMaxItemsPerPage = 300;
constexpr size_t kMaxItemsPerSuite = 40;
constexpr size_t kMinItemsPerSuite = 4;
constexpr size_t kCorrectExamples = 5;  // correct answers shown beside the others
constexpr size_t kMaxTextBytes = 2048;  // of each text; `show --full` has all of it

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
    for (const CellRow& cell : context.run.cells) {
      if (cell.key == attempt.cell_key) item.title += " (" + cell.label + ")";
    }
  }
  item.tone = grade == "correct" ? Tone::kGood : grade == "wrong" ? Tone::kBad : Tone::kUnsure;
  const auto add = [&](const std::string& label, const std::string& text) {
    if (!text.empty()) item.parts.push_back({label, head_and_tail(text, kMaxTextBytes)});
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
  return item;
}

}  // namespace

void add_quality_items(PageContext& context, Section& section) {
  std::map<std::pair<std::string, std::string>, std::vector<const StoredAttempt*>> groups;
  for (const StoredAttempt& attempt : context.run.attempts) {
    if (attempt.status == "ok") groups[{attempt.cell_key, attempt.suite}].push_back(&attempt);
  }
  if (groups.empty()) return;
  const size_t limit =
      std::clamp(kMaxItemsPerPage / groups.size(), kMinItemsPerSuite, kMaxItemsPerSuite);
  size_t n_all = 0, n_shown = 0;
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      auto& attempts = groups[{cell.key, suite}];
      std::stable_sort(attempts.begin(), attempts.end(),
                       [](const auto* a, const auto* b) { return rank(*a) < rank(*b); });
      n_all += attempts.size();
      size_t n_taken = 0, n_correct = 0;
      for (const StoredAttempt* attempt : attempts) {
        if (n_taken == limit) break;
        if (rank(*attempt) == 3 && ++n_correct > kCorrectExamples) break;
        StoredAttempt with_texts = *attempt;
        context.store.load_texts(with_texts);
        section.items.push_back(open_up(with_texts, context));
        ++n_taken;
      }
      n_shown += n_taken;
    }
  }
  section.paragraphs.push_back(
      std::to_string(n_shown) + " of " + std::to_string(n_all) +
      " answers open below: per suite those that are not correct first, at most " +
      std::to_string(limit) + ", then " + std::to_string(kCorrectExamples) +
      " correct ones as far as there is room. ds4-sweep show " + context.run.run.id.substr(0, 8) +
      (context.many_cells() ? " CELL CASE --full" : " CASE --full") + " has each of them whole.");
}

}  // namespace ds4::reports
