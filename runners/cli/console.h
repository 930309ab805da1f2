// The terminal: whether to colour, and the progress of a run (a view that is drawn anew in place,
// or plain lines when stderr is no terminal). What stands in them: runners/progress.
#pragma once

#include <string>

#include "runners/cli/verbs.h"
#include "runners/progress/screen.h"
#include "runners/supervisor.h"

namespace ds4::cli {

/// Whether text for a stream (STDOUT_FILENO, STDERR_FILENO) may be coloured: a terminal, and
/// neither NO_COLOR, TERM=dumb nor --no-color.
bool use_colour(int fd, const Common& common);

/// Gives a verb the flag --no-color.
void add_color_flag(CLI::App* verb, Common& common);

/// Shows what a run is doing on stderr. Pass observer() to runners::sweep::execute().
class Progress {
 public:
  explicit Progress(const Common& common);
  ~Progress();  // removes the view
  void show(const runners::RunState& state);
  runners::Observer observer() {
    return [this](const runners::RunState& state) { show(state); };
  }

 private:
  void draw(const runners::RunState& state);
  void plain_line(const runners::RunState& state);

  bool enabled_, live_, colour_;
  int printed_cell_ = 0, printed_tenths_ = -1;
  double last_draw_s_ = 0;
  runners::Screen screen_;
};

}  // namespace ds4::cli
