// A drawing of characters as a grid of display columns: which neighbours each character joins, and
// where it points. ASCII and box-drawing characters alike; what they mean together is boxes.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

enum Side { kUp, kRight, kDown, kLeft };
constexpr Side opposite(Side side) {
  return static_cast<Side>((side + 2) % 4);
}

struct Cell {
  char32_t glyph = U' ';
  bool continues = false;         // the second column of a wide character
  std::array<uint8_t, 4> arms{};  // by Side: 0 = none, 1 = light, 2 = heavy, 3 = double
  int head = -1;                  // the Side an arrowhead points to
  bool line() const { return arms[0] || arms[1] || arms[2] || arms[3]; }
};

struct Point {
  int row = 0;
  int column = 0;
  bool operator==(const Point&) const = default;
};

class Canvas {
 public:
  /// Larger texts are no drawing: the rest is dropped and cut() holds.
  static constexpr int kMaxRows = 256;
  static constexpr int kMaxColumns = 256;

  /// Invalid bytes become U+FFFD; tabs advance to the next multiple of eight; characters of zero
  /// width are dropped.
  explicit Canvas(std::string_view text);

  int rows() const { return static_cast<int>(rows_.size()); }
  int columns() const { return columns_; }
  bool cut() const { return cut_; }
  /// Outside: a blank.
  const Cell& at(Point p) const;
  const Cell& at(Point p, Side side) const { return at(neighbour(p, side)); }
  static Point neighbour(Point p, Side side);
  /// Display columns of a row as written, spaces at its end included.
  int width(int row) const;
  /// The text of a rectangle (bounds included): lines and arrows blank, rows joined by a blank.
  std::string text(Point top_left, Point bottom_right) const;

 private:
  std::vector<std::vector<Cell>> rows_;
  int columns_ = 0;
  bool cut_ = false;
};

/// Columns a character takes in a terminal: 2 for East Asian wide ones and pictographs, 0 for
/// combining ones (UAX 11; ambiguous ones count 1).
int display_width(char32_t c);

}  // namespace ds4::suites
