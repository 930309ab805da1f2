// The section about everything that is not a number: how launches and attempts ended, whom that is
// about and what to do, with the last lines of the log.
#include <map>

#include "engine/base/units.h"
#include "reports/outcomes/outcome.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

Tone tone_of(const OutcomeClass& known) {
  switch (known.effect) {
    case Effect::kMeasured:
      return Tone::kPlain;
    case Effect::kInvalid:
    case Effect::kOpen:
      return Tone::kUnsure;
    case Effect::kFailed:
      return Tone::kBad;
  }
  return Tone::kPlain;
}

std::string label_of(const PageContext& context, const std::string& cell_key) {
  const CellRow* cell = context.run.cells.find(cell_key);
  return cell ? cell->label : cell_key;
}

// "HANG, signal 9, in decode: smoke/x, after 4.2 s"
std::string ending(const LaunchRow& launch) {
  std::string text = launch.outcome;
  if (launch.signal != 0) text += ", signal " + std::to_string(launch.signal);
  if (launch.exit_code != 0) text += ", exit code " + std::to_string(launch.exit_code);
  if (!launch.phase.empty()) text += ", in " + launch.phase;
  return text + ", after " + format_seconds(launch.seconds);
}

void add_launches(const PageContext& context, Section& section, Table& table) {
  for (const LaunchRow& launch : context.run.launches) {
    if (launch.outcome == "ok" && launch.notes.empty()) continue;
    const OutcomeClass& known = outcome_class(launch.outcome);
    const std::string what =
        "cell " + label_of(context, launch.cell_key) + ", launch " + std::to_string(launch.number);
    std::string message = launch.message;
    if (!launch.notes.empty()) {
      message += (message.empty() ? "besides: " : "\nbesides: ") + launch.notes;
    }
    table.rows.push_back(
        {{what}, {ending(launch), tone_of(known)}, {std::string(known.scope)}, {message}});
    Item item{what + ": " + ending(launch), tone_of(known), {}};
    item.in_markdown = true;
    const auto add = [&](const char* name, std::string_view text) {
      if (!text.empty()) item.parts.push_back({name, std::string(text)});
    };
    add("meaning", known.meaning);
    add("about", known.scope);
    add("what to do", known.remedy);
    add("message", launch.message);
    add("seen besides", launch.notes);
    add("last log lines", launch.log_tail);
    section.items.push_back(std::move(item));
  }
}

// Attempts without an answer, and answers that show something broken.
void add_attempts(const PageContext& context, Table& table) {
  for (const StoredAttempt& attempt : context.run.attempts) {
    const OutcomeClass& known = outcome_class(attempt.outcome);
    if (attempt.status == "ok" && known.effect != Effect::kFailed &&
        known.name != "HARNESS_ERROR") {
      continue;
    }
    const std::string outcome = attempt.outcome.empty() ? attempt.status : attempt.outcome;
    table.rows.push_back(
        {{attempt.suite + "/" + attempt.case_id + ", attempt " + std::to_string(attempt.number)},
         {outcome, tone_of(known)},
         {std::string(known.scope)},
         {attempt.error.empty() ? attempt.note : attempt.error}});
  }
}

void add_incomplete(const PageContext& context, Table& table) {
  for (size_t i = 0; i < context.page.cells.size(); ++i) {
    const CellStatus& status = context.page.statuses[i];
    for (const auto& [name, lack] : skipped_of(context.run, context.page.cells[i].key)) {
      table.rows.push_back({{name + " in cell " + context.page.cells[i].label},
                            {"skipped", Tone::kUnsure},
                            nothing(),
                            {"not asked: " + lack}});
    }
    if (status.n_missing() == 0) continue;
    std::string message = std::to_string(status.n_missing()) + " of " +
                          std::to_string(status.n_planned) + " cases have no answer";
    // Of a cell that was not launched no row above says why.
    const bool left_out = status.n_launches == 0 && !status.message.empty();
    if (left_out) message += ": " + status.message;
    table.rows.push_back({{"cell " + context.page.cells[i].label},
                          {left_out ? status.outcome : "incomplete", Tone::kUnsure},
                          nothing(),
                          {message}});
  }
}

// Every class that occurred, but "ok".
Table classes_table(const PageContext& context) {
  Table table{"What these outcomes mean, and what to do.",
              {{"outcome"}, {"times", true}, {"about"}, {"meaning", false, false}, {"what to do"}},
              {}};
  std::map<std::string_view, int> times;
  for (const LaunchRow& launch : context.run.launches) ++times[launch.outcome];
  for (const StoredAttempt& attempt : context.run.attempts) ++times[attempt.outcome];
  for (const OutcomeClass& known : outcome_classes()) {
    const auto found = times.find(known.name);
    if (found == times.end() || known.name == "ok") continue;
    table.rows.push_back({{std::string(known.name), tone_of(known)},
                          {std::to_string(found->second)},
                          {std::string(known.scope)},
                          {std::string(known.meaning)},
                          {std::string(known.remedy)}});
  }
  return table;
}

}  // namespace

Section outcomes_section(PageContext& context) {
  Section section{"outcomes", "Outcomes that are not numbers", {}, {}, {}};
  Table table{"Workers that did not end well and cases without an answer.",
              {{"what"}, {"outcome"}, {"about", false, false}, {"message"}},
              {}};
  add_launches(context, section, table);
  add_attempts(context, table);
  add_incomplete(context, table);
  if (table.rows.empty()) {
    section.paragraphs.push_back(
        "None: every worker ended well and every planned case has an answer.");
  } else {
    section.tables.push_back(std::move(table));
  }
  if (Table classes = classes_table(context); !classes.rows.empty()) {
    section.tables.push_back(std::move(classes));
  }
  return section;
}

}  // namespace ds4::reports
