// Reading characters: code points, widths, arms.
#include "suites/diagrams/canvas.h"

#include <algorithm>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

struct Range {
  char32_t first, last;
};

// The blocks of UAX 11 that a diagram's labels can plausibly come from.
constexpr std::array kWide = {
    Range{0x1100, 0x115f},   Range{0x231a, 0x231b},   Range{0x23e9, 0x23ec},
    Range{0x2614, 0x2615},   Range{0x26a1, 0x26a1},   Range{0x2705, 0x2705},
    Range{0x274c, 0x274c},   Range{0x2e80, 0x303e},   Range{0x3041, 0x33ff},
    Range{0x3400, 0x4dbf},   Range{0x4e00, 0x9fff},   Range{0xa000, 0xa4cf},
    Range{0xac00, 0xd7a3},   Range{0xf900, 0xfaff},   Range{0xfe30, 0xfe6f},
    Range{0xff00, 0xff60},   Range{0xffe0, 0xffe6},   Range{0x1f300, 0x1f64f},
    Range{0x1f680, 0x1f6ff}, Range{0x1f900, 0x1f9ff}, Range{0x20000, 0x3fffd}};
constexpr std::array kZero = {Range{0x0300, 0x036f}, Range{0x200b, 0x200f}, Range{0x20d0, 0x20ff},
                              Range{0xfe00, 0xfe0f}, Range{0xfeff, 0xfeff}};

bool within(char32_t c, const auto& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& r) { return c >= r.first && c <= r.last; });
}

// U+2500 to U+257F: two bits for each of up, right, down, left, lowest first.
constexpr std::array<uint8_t, 128> kArms = {
    0x44, 0x88, 0x11, 0x22, 0x44, 0x88, 0x11, 0x22, 0x44, 0x88, 0x11, 0x22, 0x14, 0x18, 0x24, 0x28,
    0x50, 0x90, 0x60, 0xa0, 0x05, 0x09, 0x06, 0x0a, 0x41, 0x81, 0x42, 0x82, 0x15, 0x19, 0x16, 0x25,
    0x26, 0x1a, 0x29, 0x2a, 0x51, 0x91, 0x52, 0x61, 0x62, 0x92, 0xa1, 0xa2, 0x54, 0x94, 0x58, 0x98,
    0x64, 0xa4, 0x68, 0xa8, 0x45, 0x85, 0x49, 0x89, 0x46, 0x86, 0x4a, 0x8a, 0x55, 0x95, 0x59, 0x99,
    0x56, 0x65, 0x66, 0x96, 0x5a, 0xa5, 0x69, 0x9a, 0xa9, 0xa6, 0x6a, 0xaa, 0x44, 0x88, 0x11, 0x22,
    0xcc, 0x33, 0x1c, 0x34, 0x3c, 0xd0, 0x70, 0xf0, 0x0d, 0x07, 0x0f, 0xc1, 0x43, 0xc3, 0x1d, 0x37,
    0x3f, 0xd1, 0x73, 0xf3, 0xdc, 0x74, 0xfc, 0xcd, 0x47, 0xcf, 0xdd, 0x77, 0xff, 0x14, 0x50, 0x41,
    0x05, 0x00, 0x00, 0x00, 0x40, 0x01, 0x04, 0x10, 0x80, 0x02, 0x08, 0x20, 0x48, 0x21, 0x84, 0x12};

// Heads as diagrams have them, by the side they point to.
constexpr std::array<std::u32string_view, 4> kHeads = {
    U"^\u25b2\u2191\u25b3\u25b4", U">\u25b6\u25ba\u2192\u25b7\u25b8", U"vV\u25bc\u2193\u25bd\u25be",
    U"<\u25c0\u25c4\u2190\u25c1\u25c2"};

Cell make_cell(char32_t c) {
  Cell cell;
  cell.glyph = c;
  if (c >= 0x2500 && c < 0x2580) {
    for (int side = 0; side < 4; ++side) {
      cell.arms[side] = kArms[c - 0x2500] >> (2 * side) & 3;
    }
    return cell;
  }
  if (c == U'-') cell.arms = {0, 1, 0, 1};
  if (c == U'|') cell.arms = {1, 0, 1, 0};
  if (c == U'+') cell.arms = {1, 1, 1, 1};
  for (int side = 0; side < 4; ++side) {
    if (kHeads[side].find(c) == std::u32string_view::npos) continue;
    cell.head = side;
    cell.arms[opposite(static_cast<Side>(side))] = 1;
  }
  return cell;
}

char32_t code_point(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  char32_t c = byte(0) & (0xff >> (character.size() + 1));
  for (size_t i = 1; i < character.size(); ++i) c = c << 6 | (byte(i) & 0x3f);
  return c;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int extra = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  out += static_cast<char>((0xff00 >> (extra + 1) & 0xff) | c >> (6 * extra));
  for (int i = extra - 1; i >= 0; --i) out += static_cast<char>(0x80 | (c >> (6 * i) & 0x3f));
}

}  // namespace

int display_width(char32_t c) {
  return within(c, kZero) ? 0 : within(c, kWide) ? 2 : 1;
}

Canvas::Canvas(std::string_view text) {
  std::vector<Cell> row;
  const auto end_row = [&] {
    columns_ = std::max(columns_, static_cast<int>(row.size()));
    rows_.push_back(std::move(row));
    row.clear();
  };
  while (!text.empty()) {
    if (rows() == kMaxRows) {
      cut_ = true;
      return;
    }
    const size_t length = utf8_length(text);
    const char32_t c = length == 0 ? 0xfffd : code_point(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
    const int width = c == U'\t' ? 8 - static_cast<int>(row.size() % 8) : display_width(c);
    if (c == U'\n') {
      end_row();
    } else if (c == U'\r') {
      continue;
    } else if (static_cast<int>(row.size()) + width > kMaxColumns) {
      cut_ = true;
    } else if (width > 0) {
      row.push_back(make_cell(c == U'\t' ? U' ' : c));
      for (int i = 1; i < width; ++i) row.push_back({.continues = c != U'\t'});
    }
  }
  if (!row.empty()) end_row();
}

const Cell& Canvas::at(Point p) const {
  static const Cell kBlank;
  if (p.row < 0 || p.row >= rows() || p.column < 0 || p.column >= width(p.row)) return kBlank;
  return rows_[static_cast<size_t>(p.row)][static_cast<size_t>(p.column)];
}

Point Canvas::neighbour(Point p, Side side) {
  return {p.row + (side == kDown) - (side == kUp), p.column + (side == kRight) - (side == kLeft)};
}

int Canvas::width(int row) const {
  return static_cast<int>(rows_[static_cast<size_t>(row)].size());
}

std::string Canvas::text(Point top_left, Point bottom_right) const {
  std::string out;
  for (int row = top_left.row; row <= bottom_right.row; ++row) {
    for (int column = top_left.column; column <= bottom_right.column; ++column) {
      const Cell& cell = at({row, column});
      // A letter v or a comparison sign may be text: heads are blank only beside a line.
      const bool drawn = cell.line() && (cell.head < 0 || cell.glyph >= 0x80);
      if (!cell.continues) append_utf8(out, drawn ? U' ' : cell.glyph);
    }
    out += ' ';
  }
  return out;
}

}  // namespace ds4::suites
