// Lines at the bottom of a terminal that are drawn anew in place: what is to be written for each
// frame. The cursor is never hidden and rests below the lines, so that whatever ends this process,
// the terminal is left as it should be.
#pragma once

#include <string>
#include <vector>

#include "runners/progress/view.h"

namespace ds4::runners {

class Screen {
 public:
  /// Replaces the lines of the frame before, in one piece of text. `above`: lines that are to stay,
  /// each ended by a line feed; they scroll away with what was printed before.
  std::string frame(const std::string& above, const std::vector<std::string>& lines, int columns);
  /// Removes the last frame.
  std::string clear(int columns) { return frame("", {}, columns); }

 private:
  std::vector<int> drawn_;  // columns of each line of the last frame
};

/// Of the terminal behind a descriptor; ViewSize{} where it does not tell.
ViewSize terminal_size(int fd);

/// Writes all of it; with one call unless the terminal takes less at a time.
void write_all(int fd, const std::string& text);

}  // namespace ds4::runners
