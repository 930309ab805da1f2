// A table of the page model. Texts are raw; escaping belongs to the renderers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace ds4::reports {

/// How a value is meant; never carried by colour alone, the text says it too.
enum class Tone { kPlain, kGood, kBad, kUnsure, kMuted };

struct TableCell {
  std::string text;
  Tone tone = Tone::kPlain;
  /// Colours the cell of a heat map: 0 to 1, or -1 to 1 where `Table::diverging`.
  std::optional<double> heat = {};
};

struct TableColumn {
  std::string title;
  bool number = false;  // right-aligned
  bool in_terminal = true;
};

struct Table {
  std::string caption;  // what the table answers, in a sentence
  std::vector<TableColumn> columns;
  std::vector<std::vector<TableCell>> rows;  // the first cell of a row is its heading
  bool in_terminal = true;
  bool diverging = false;  // heat around 0: differences
  size_t n_left_out = 0;   // rows that the page had no room for (limits.h)
};

}  // namespace ds4::reports
