// What a run is doing, as lines of a terminal: a header, then one line per cell. Pure: drawing is
// screen.h's.
#pragma once

#include <string>
#include <vector>

#include "runners/progress/state.h"

namespace ds4::runners {

struct ViewSize {
  int columns = 80, rows = 24;  // of the terminal
};

/// At most `rows` - 1 lines of at most `columns` columns each. What a line has no room for is left
/// out, the least important first; of more cells than rows those around the one that runs are
/// shown, with what lies above and below counted. Labels and the like are made harmless.
std::vector<std::string> render_view(const RunState& state, ViewSize size, bool colour);

/// One line for where nothing can be drawn anew, without its line feed.
std::string plain_progress(const RunState& state);

/// A note as it is to stand above the view, or between plain lines.
std::string note_line(const RunState& state);

}  // namespace ds4::runners
