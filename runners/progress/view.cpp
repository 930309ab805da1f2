#include "runners/progress/view.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/units.h"
#include "reports/outcomes/outcome.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"
#include "reports/stats/stats.h"
#include "runners/progress/columns.h"
#include "runners/progress/labels.h"
#include "runners/progress/left.h"

namespace ds4::runners {
namespace {

using reports::Tone;

constexpr int kLeastColumns = 20;
constexpr const char* kBetween = "  ";

// A part of a line. Where there is no room, the one with the lowest rank goes first.
struct Piece {
  std::string text;
  int rank = 0;
  Tone tone = Tone::kPlain;
};

int columns_of(const std::vector<Piece>& pieces) {
  int columns = 0;
  for (const Piece& piece : pieces) {
    columns += text_columns(piece.text) + (columns > 0 ? text_columns(kBetween) : 0);
  }
  return columns;
}

// The pieces side by side, without those that have no room.
std::string line_of(std::vector<Piece> pieces, int columns, bool colour) {
  std::erase_if(pieces, [](const Piece& piece) { return piece.text.empty(); });
  while (pieces.size() > 1 && columns_of(pieces) > columns) {
    pieces.erase(std::min_element(pieces.begin(), pieces.end(),
                                  [](const Piece& a, const Piece& b) { return a.rank < b.rank; }));
  }
  if (pieces.size() == 1) pieces[0].text = cut_to_columns(pieces[0].text, columns);
  std::string line;
  for (const Piece& piece : pieces) {
    if (!line.empty()) line += kBetween;
    line += reports::terminal_text(piece.text, piece.tone, colour);
  }
  return line;
}

// An estimate: no more digits than it deserves.
std::string left_text(const std::optional<double>& seconds) {
  if (!seconds) return "";
  return (*seconds < 60 ? std::to_string(std::lround(*seconds)) + " s" : format_seconds(*seconds)) +
         " left";
}

std::string gib(int64_t bytes) {
  return format_number(static_cast<double>(bytes) / static_cast<double>(int64_t{1} << 30));
}

// "31.2 of 110 GiB, floor 8": the machine's memory in use, and what has to stay free of it.
std::string memory_text(const std::optional<GuardedMemory>& memory) {
  if (!memory) return "";
  return gib(memory->total_bytes - memory->available_bytes) + " of " + gib(memory->total_bytes) +
         " GiB, floor " + gib(memory->floor_bytes);
}

// "device 61.3 GiB, 78.1 free"
std::string device_text(const std::optional<DeviceMemory>& device) {
  if (!device) return "";
  std::string text = "device";
  if (device->used_bytes >= 0) text += " " + gib(device->used_bytes) + " GiB";
  if (device->free_bytes >= 0) {
    text += (device->used_bytes >= 0 ? ", " + gib(device->free_bytes)
                                     : " " + gib(device->free_bytes) + " GiB") +
            " free";
  }
  return text;
}

std::string answers_text(const TurnState& turn) {
  std::string text = std::to_string(turn.answered) + " of " + std::to_string(turn.n_cases);
  if (turn.graded > 0) text += ", " + std::to_string(turn.correct) + " correct";
  return text;
}

Tone tone_of(const TurnState& turn) {
  if (turn.outcome == "skipped" || turn.outcome == "refused") return Tone::kUnsure;
  switch (reports::outcome_class(turn.outcome).effect) {
    case reports::Effect::kMeasured:
      return turn.answered < turn.n_cases ? Tone::kUnsure : Tone::kGood;
    case reports::Effect::kInvalid:
    case reports::Effect::kOpen:
      return Tone::kUnsure;
    case reports::Effect::kFailed:
      return Tone::kBad;
  }
  return Tone::kPlain;
}

const char* sign_of(Tone tone) {
  return tone == Tone::kGood ? "✓" : tone == Tone::kBad ? "✗" : "?";
}

// The sign and the label in front of every cell's line.
std::string heading(const char* sign, const std::string& label, int label_columns) {
  std::string text = label;
  text += std::string(static_cast<size_t>(std::max(0, label_columns - text_columns(text))), ' ');
  return std::string(sign) + " " + text;
}

std::vector<Piece> ended_pieces(const TurnState& turn) {
  if (turn.answered == 0) return {{turn.outcome, 9, tone_of(turn)}};
  return {{turn.outcome, 9, tone_of(turn)},
          {answers_text(turn), 8},
          {turn.decode_rate ? format_number(*turn.decode_rate) + " tok/s" : "", 7},
          {turn.seconds > 0 ? format_seconds(turn.seconds) : "", 6, Tone::kMuted}};
}

std::string phase_text(const RunState& state) {
  std::string phase = state.phase == "capture" ? "warm-up" : reports::clean_line(state.phase);
  const bool asking = state.n_cases > 0 && !state.suite.empty() && state.phase != "teardown";
  phase.resize(std::max<size_t>(phase.size(), 8), ' ');  // prefill and decode take turns
  if (!asking) return phase;
  return phase + std::to_string(std::min(state.cases_done + 1, state.n_cases)) + "/" +
         std::to_string(state.n_cases);
}

// The rate in flight; between cases, or where they are too short, the median of the answers. Either
// with its share of the most the machine can give.
std::string rate_text(const RunState& state) {
  const auto rate = state.rate ? state.rate : reports::median(state.tally.decode_rates);
  if (!rate) return "";
  std::string text = format_number(*rate) + " tok/s";
  if (state.most && *state.most > 0) {
    text += " (" + std::to_string(std::lround(100 * *rate / *state.most)) + " %)";
  }
  return text + (state.rate ? "" : " median");
}

std::string tokens_text(const RunState& state) {
  if (state.completion_done > 0) return "answer " + format_count(state.completion_done);
  return state.prompt_done > 0 ? "prompt " + format_count(state.prompt_done) : "";
}

std::vector<Piece> running_pieces(const RunState& state) {
  return {{phase_text(state), 10},
          {reports::clean_line(state.phase_detail), 9, Tone::kMuted},
          {tokens_text(state), 5},
          {rate_text(state), 8},
          {memory_text(state.memory), 6},
          {device_text(state.device), 6},
          {left_text(left_in_cell(state)), 7},
          {state.suite.empty() ? "" : reports::clean_line(state.suite + "/" + state.case_id), 3,
           Tone::kMuted}};
}

std::string cell_line(const RunState& state, size_t turn, const std::string& label,
                      int label_columns, int columns, bool colour) {
  const TurnState& of = state.turns[turn];
  std::vector<Piece> pieces;
  Tone tone = Tone::kPlain;
  const char* sign = " ";
  if (static_cast<int>(turn) + 1 == state.cell && of.outcome.empty()) {
    sign = "▸";
    pieces = running_pieces(state);
  } else if (!of.outcome.empty()) {
    tone = tone_of(of);
    sign = sign_of(tone);
    pieces = ended_pieces(of);
  } else {
    tone = Tone::kMuted;
    pieces = {{"waiting", 9, Tone::kMuted}};
  }
  pieces.insert(pieces.begin(), Piece{heading(sign, label, label_columns), 11, tone});
  return line_of(std::move(pieces), columns, colour);
}

// "  12 above: 11 ok, 1 HANG"
std::string count_line(const RunState& state, size_t begin, size_t end, const char* where,
                       int columns, bool colour) {
  std::map<std::string, int> times;
  for (size_t i = begin; i < end; ++i) {
    const std::string& outcome = state.turns[i].outcome;
    ++times[outcome.empty() ? "waiting" : outcome];
  }
  std::string text = "  " + std::to_string(end - begin) + " " + where + ":";
  for (const auto& [outcome, n] : times) {
    text += (text.ends_with(':') ? " " : ", ") + std::to_string(n) + " " + outcome;
  }
  return line_of({{text, 1, Tone::kMuted}}, columns, colour);
}

std::string header_line(const RunState& state, int columns, bool colour) {
  const bool many = state.n_cells > 1;
  return line_of({{"run " + state.run_id.substr(0, 8), 7},
                  {"cell " + std::to_string(state.cell) + " of " + std::to_string(state.n_cells),
                   many ? 10 : 1},
                  {format_seconds(state.run_elapsed_s), 8},
                  {many && left_in_run(state) ? "about " + left_text(left_in_run(state)) : "", 9}},
                 columns, colour);
}

// The turns that have room, as [first, last).
std::pair<size_t, size_t> window_of(const RunState& state, size_t room) {
  const size_t n = state.turns.size();
  if (n <= room) return {0, n};
  const size_t shown = room > 2 ? room - 2 : 1;  // the counts take a line each
  const size_t running = std::min(n - 1, static_cast<size_t>(std::max(0, state.cell - 1)));
  size_t first = running - std::min(running, shown / 2);
  first = std::min(first, n - shown);
  return {first, first + shown};
}

}  // namespace

std::vector<std::string> render_view(const RunState& state, ViewSize size, bool colour) {
  const int columns = std::max(kLeastColumns, size.columns);
  const auto room = static_cast<size_t>(std::max(1, size.rows - 1));  // the cursor has its own
  std::vector<std::string> lines;
  if (room > 1) lines.push_back(header_line(state, columns, colour));
  const auto [first, last] = window_of(state, room - lines.size());
  std::vector<std::string> labels;
  for (size_t i = first; i < last; ++i) {
    labels.push_back(reports::clean_line(state.turns[i].label));
  }
  labels = short_labels(labels, std::max(8, columns / 3), first + 1);
  int label_columns = 0;
  for (const std::string& label : labels) {
    label_columns = std::max(label_columns, text_columns(label));
  }
  const bool counted = room - lines.size() > 2;  // else there is no room for more than the cell
  if (counted && first > 0) {
    lines.push_back(count_line(state, 0, first, "above", columns, colour));
  }
  for (size_t i = first; i < last; ++i) {
    lines.push_back(cell_line(state, i, labels[i - first], label_columns, columns, colour));
  }
  if (counted && last < state.turns.size()) {
    lines.push_back(count_line(state, last, state.turns.size(), "below", columns, colour));
  }
  return lines;
}

std::string plain_progress(const RunState& state) {
  std::string line = "cell " + std::to_string(state.cell) + "/" + std::to_string(state.n_cells) +
                     " " + reports::clean_line(state.cell_label) + ": " +
                     std::to_string(state.cases_done) + " of " + std::to_string(state.n_cases) +
                     " cases (" + format_seconds(state.elapsed_s) + ")";
  if (const auto left = left_in_cell(state); left && *left > 0) {
    line += ", about " + left_text(left) + " in this cell";
  }
  if (const auto left = left_in_run(state); left && *left > 0 && state.cell < state.n_cells) {
    line += ", " + left_text(left) + " in the run";
  }
  return line;
}

std::string note_line(const RunState& state) {
  return "cell " + std::to_string(state.cell) + "/" + std::to_string(state.n_cells) + " " +
         reports::clean_line(state.cell_label) + ": " + reports::clean_line(state.note);
}

}  // namespace ds4::runners
