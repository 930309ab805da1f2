// Labels of cells in few columns, so that those of two cells do not look alike.
#pragma once

#include <string>
#include <vector>

namespace ds4::runners {

/// One for each label, of at most `columns` columns (at least 8). Where they do not all fit, the
/// parts ("key=value", by blanks) that all of them have are left out, and what is still too long is
/// cut in its middle; where two that differ would look alike then, each begins with its number,
/// counted from `first`. Labels are valid UTF-8 without controls.
std::vector<std::string> short_labels(const std::vector<std::string>& labels, int columns,
                                      size_t first = 1);

}  // namespace ds4::runners
