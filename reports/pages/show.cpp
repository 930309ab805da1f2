#include "reports/pages/show.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/units.h"
#include "reports/outcomes/outcome.h"
#include "reports/pages/escape.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxTextBytes = 2048;

std::string grade_of(const StoredAttempt& attempt) {
  if (attempt.status != "ok") return attempt.outcome.empty() ? attempt.status : attempt.outcome;
  return attempt.score ? attempt.score->grade : "not graded";
}

std::string name_of(const StoredAttempt& attempt) {
  return clean_line(attempt.suite + "/" + attempt.case_id);
}

void append_block(std::string& out, const char* label, const std::string& text, bool full) {
  if (text.empty()) return;
  const std::string shown = clean_text(full ? text : head_and_tail(text, kMaxTextBytes));
  out += std::string("  ") + label + ":\n    ";
  for (const char c : shown) {
    out += c;
    if (c == '\n') out += "    ";
  }
  while (out.ends_with(' ') || out.ends_with('\n')) out.pop_back();
  out += "\n";
}

// The turns after the first: what was said, then what was answered.
void append_exchanges(std::string& out, const StoredAttempt& attempt, bool full) {
  int turn = 1;
  for (const ExchangeRow& exchange : attempt.exchanges) {
    out += "  turn " + std::to_string(++turn) + ": " + std::to_string(exchange.prompt_tokens) +
           " prompt tokens, " + std::to_string(exchange.completion_tokens) +
           " completion tokens, sent after " + format_seconds(exchange.sent_s) + ", end " +
           format_seconds(exchange.end_s) + " later, finish reason " +
           clean_line(exchange.finish_reason) + "\n";
    append_block(out, "said", said_text(exchange), full);
    append_block(out, "answer", exchange.text, full);
    if (exchange.reasoning != exchange.text) {
      append_block(out, "reasoning", exchange.reasoning, full);
    }
    if (exchange.tool_calls != "[]") append_block(out, "tool calls", exchange.tool_calls, full);
  }
}

}  // namespace

std::string attempt_text(const StoredAttempt& attempt, bool full) {
  std::string out = name_of(attempt) + ", attempt " + std::to_string(attempt.number) + " (row " +
                    std::to_string(attempt.id) + "), cell " + clean_line(attempt.cell_key) + ": " +
                    grade_of(attempt) + "\n";
  out += "  " + std::to_string(attempt.prompt_tokens) + " prompt tokens";
  if (attempt.cached_tokens > 0) {
    out += " (" + std::to_string(attempt.cached_tokens) + " from a cache)";
  }
  out += ", " + std::to_string(attempt.completion_tokens) + " completion tokens";
  if (attempt.first_token_s >= 0) {
    out += ", first token after " + format_seconds(attempt.first_token_s);
  }
  out += ", end after " + format_seconds(attempt.end_s);
  if (!attempt.finish_reason.empty()) out += ", finish reason " + clean_line(attempt.finish_reason);
  out += "\n";
  if (!attempt.outcome.empty() && attempt.outcome != "ok") {
    const OutcomeClass& known = outcome_class(attempt.outcome);
    append_block(out, "outcome",
                 attempt.outcome + " (about: " + std::string(known.scope) + ")" +
                     (attempt.note.empty() ? "" : "\n" + attempt.note) + "\n" +
                     std::string(known.remedy),
                 full);
  }
  append_block(out, "error", attempt.error, full);
  append_block(out, "prompt", attempt.prompt, full);
  append_block(out, "answer", attempt.text, full);
  if (attempt.reasoning != attempt.text) append_block(out, "reasoning", attempt.reasoning, full);
  if (attempt.tool_calls != "[]") append_block(out, "tool calls", attempt.tool_calls, full);
  append_exchanges(out, attempt, full);
  append_block(out, "expected", attempt.expected, full);
  if (attempt.score) {
    append_block(out, "extracted", attempt.score->extracted, full);
    append_block(out, "grading", attempt.score->explanation, full);
    std::string values;
    for (const auto& [name, value] : attempt.score->values) {
      values += (values.empty() ? "" : ", ") + name + " " + format_number(value);
    }
    append_block(out, "scores", values, full);
  }
  return out;
}

std::string attempt_lines(std::span<const StoredAttempt* const> attempts) {
  size_t widest = 0;
  for (const auto* a : attempts) widest = std::max(widest, name_of(*a).size());
  std::string out;
  for (const StoredAttempt* attempt : attempts) {
    const std::string name = name_of(*attempt);
    char grade[16];
    std::snprintf(grade, sizeof grade, "%-10s", grade_of(*attempt).c_str());
    const std::string why = attempt->status == "ok"
                                ? (attempt->score ? attempt->score->explanation : "")
                                : attempt->error;
    out += "  " + name + std::string(widest - name.size(), ' ') + "  " + grade + "  " +
           clean_line(why) + "\n";
  }
  return out;
}

std::string launch_text(const LaunchRow& launch, bool with_log, bool full) {
  std::string out = "  launch " + std::to_string(launch.number) + ": " + clean_line(launch.outcome);
  if (launch.signal != 0) out += ", signal " + std::to_string(launch.signal);
  if (launch.exit_code != 0) out += ", exit code " + std::to_string(launch.exit_code);
  if (!launch.phase.empty()) out += ", in " + clean_line(launch.phase);
  out += ", after " + format_seconds(launch.seconds) + "\n";
  if (!with_log) return out;
  append_block(out, "message", launch.message, full);
  append_block(out, "seen besides", launch.notes, full);
  append_block(out, "last log lines", launch.log_tail, full);
  return out;
}

std::string said_text(const ExchangeRow& exchange) {
  std::string text;
  for (const SaidRow& said : exchange.said) {
    text += (text.empty() ? "[" : "\n[") + said.role;
    if (!said.tool_call_id.empty()) text += " " + said.tool_call_id;
    text += "]\n" + said.content;
  }
  return text;
}

}  // namespace ds4::reports
