#include "runners/cli/console.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/base/clock.h"
#include "runners/progress/view.h"

namespace ds4::cli {
namespace {

constexpr double kRedraw_s = 0.1;

bool dumb_terminal() {
  const char* term = std::getenv("TERM");
  return term && std::strcmp(term, "dumb") == 0;
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
      live_(::isatty(STDERR_FILENO) != 0 && !dumb_terminal()),
      colour_(use_colour(STDERR_FILENO, common)) {}

Progress::~Progress() {
  runners::write_all(STDERR_FILENO, screen_.clear(runners::terminal_size(STDERR_FILENO).columns));
}

void Progress::show(const runners::RunState& state) {
  if (!enabled_) return;
  if (live_) {
    draw(state);
  } else if (!state.note.empty()) {
    std::fprintf(stderr, "%s\n", runners::note_line(state).c_str());
  } else {
    plain_line(state);
  }
}

void Progress::draw(const runners::RunState& state) {
  const double now = monotonic_seconds();
  if (state.note.empty() && now - last_draw_s_ < kRedraw_s) return;
  last_draw_s_ = now;
  const runners::ViewSize size = runners::terminal_size(STDERR_FILENO);
  const std::string above = state.note.empty() ? "" : runners::note_line(state) + "\n";
  runners::write_all(STDERR_FILENO, screen_.frame(above, runners::render_view(state, size, colour_),
                                                  size.columns));
}

void Progress::plain_line(const runners::RunState& state) {
  // In a pipe: one line when a cell begins and one for every tenth of its cases.
  if (state.n_cases == 0) return;
  const int tenths = 10 * state.cases_done / state.n_cases;
  if (printed_cell_ == state.cell && printed_tenths_ == tenths) return;
  printed_cell_ = state.cell;
  printed_tenths_ = tenths;
  std::fprintf(stderr, "%s\n", runners::plain_progress(state).c_str());
}

}  // namespace ds4::cli
