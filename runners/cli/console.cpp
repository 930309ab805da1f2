#include "runners/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/base/clock.h"
#include "engine/base/units.h"

namespace ds4::cli {
namespace {

constexpr double kRedraw_s = 0.1;

bool dumb_terminal() {
  const char* term = std::getenv("TERM");
  return term && std::strcmp(term, "dumb") == 0;
}

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

std::string eta(const runners::RunState& state) {
  if (state.cases_done == 0 || state.n_cases == 0) return "";
  // Cases differ in length; the mean so far is the honest guess we have.
  const double left = state.elapsed_s / state.cases_done * (state.n_cases - state.cases_done);
  return ", about " + format_seconds(left) + " left in this cell";
}

}  // namespace

void add_color_flag(CLI::App* verb, Common& common) {
  verb->add_flag("--no-color", common.no_color, "No colours");
}

bool use_colour(int fd, const Common& common) {
  return !common.no_color && !std::getenv("NO_COLOR") && !dumb_terminal() && ::isatty(fd) != 0;
}

Progress::Progress(const Common& common)
    : enabled_(!common.quiet && !common.no_progress),
      live_(::isatty(STDERR_FILENO) != 0 && !dumb_terminal()) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::show(const runners::RunState& state) {
  if (!enabled_) return;
  if (!state.note.empty()) {
    note_line(state);
  } else if (live_) {
    live_line(state);
  } else {
    plain_line(state);
  }
}

void Progress::live_line(const runners::RunState& state) {
  const double now = monotonic_seconds();
  if (drawn_ && now - last_draw_s_ < kRedraw_s) return;
  last_draw_s_ = now;
  std::string line = "cell " + std::to_string(state.cell) + "/" + std::to_string(state.n_cells) +
                     " " + state.cell_label + ": ";
  if (state.n_cases > 0 && !state.suite.empty() && state.phase != "teardown") {
    line += "case " + std::to_string(state.cases_done + 1) + "/" + std::to_string(state.n_cases) +
            " " + state.suite + "/" + state.case_id;
    if (state.prompt_done > 0) line += ", prompt " + std::to_string(state.prompt_done);
    if (state.completion_done > 0) line += ", answer " + std::to_string(state.completion_done);
    line += eta(state);
  } else {
    line += state.phase;
    if (!state.phase_detail.empty()) line += " " + state.phase_detail;
  }
  line += " (" + format_seconds(state.elapsed_s) + ")";
  if (const size_t width = terminal_width(); line.size() >= width) line.resize(width - 1);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::note_line(const runners::RunState& state) {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
  std::fprintf(stderr, "cell %d/%d %s: %s\n", state.cell, state.n_cells, state.cell_label.c_str(),
               state.note.c_str());
}

void Progress::plain_line(const runners::RunState& state) {
  // In a pipe: one line when a cell begins and one for every tenth of its cases.
  if (state.n_cases == 0) return;
  const int tenths = 10 * state.cases_done / state.n_cases;
  if (printed_cell_ == state.cell && printed_tenths_ == tenths) return;
  printed_cell_ = state.cell;
  printed_tenths_ = tenths;
  std::fprintf(stderr, "cell %d/%d %s: %d of %d cases (%s)%s\n", state.cell, state.n_cells,
               state.cell_label.c_str(), state.cases_done, state.n_cases,
               format_seconds(state.elapsed_s).c_str(), eta(state).c_str());
}

}  // namespace ds4::cli
