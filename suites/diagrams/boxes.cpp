// Runs of sides are counted once, so that a rectangle is checked by its four corners.
#include "suites/diagrams/boxes.h"

#include <algorithm>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

// For every cell how many cells from it on, downwards or to the right, pass a line straight on.
class Runs {
 public:
  Runs(const Canvas& canvas, Side along)
      : columns_(canvas.columns() + 1),
        length_(static_cast<size_t>(columns_ * (canvas.rows() + 1))) {
    for (int row = canvas.rows() - 1; row >= 0; --row) {
      for (int column = canvas.columns() - 1; column >= 0; --column) {
        const Point p{row, column};
        const Cell& cell = canvas.at(p);
        if (cell.head < 0 && cell.arms[along] && cell.arms[opposite(along)]) {
          length_[index(p)] = 1 + length_[index(Canvas::neighbour(p, along))];
        }
      }
    }
  }
  int at(Point p) const { return length_[index(p)]; }

 private:
  size_t index(Point p) const { return static_cast<size_t>(p.row * columns_ + p.column); }
  int columns_;
  std::vector<int> length_;
};

bool has(const Canvas& canvas, Point p, Side a, Side b) {
  const Cell& cell = canvas.at(p);
  return cell.head < 0 && cell.arms[a] && cell.arms[b];
}

// A corner tries so many ends of its upper side: more junctions no drawing has there.
constexpr int kMaxEnds = 8;

bool find_box(const Canvas& canvas, const Runs& right, const Runs& down, Point p, Point& end) {
  const int top_end = p.column + 1 + right.at({p.row, p.column + 1});
  const int side_end = p.row + 1 + down.at({p.row + 1, p.column});
  int ends = 0;
  for (int column = p.column + 2; column <= top_end && ends < kMaxEnds; ++column) {
    if (!has(canvas, {p.row, column}, kLeft, kDown)) continue;
    ++ends;
    const int last = std::min(side_end, p.row + 1 + down.at({p.row + 1, column}));
    for (int row = p.row + 2; row <= last; ++row) {
      if (has(canvas, {row, p.column}, kUp, kRight) && has(canvas, {row, column}, kUp, kLeft) &&
          right.at({row, p.column + 1}) >= column - p.column - 1) {
        end = {row, column};
        return true;
      }
    }
  }
  return false;
}

// Which box covers each cell.
class Cover {
 public:
  Cover(const Canvas& canvas, const std::vector<Box>& boxes)
      : columns_(canvas.columns()),
        rows_(canvas.rows()),
        box_(static_cast<size_t>(columns_ * rows_), -1) {
    for (size_t i = 0; i < boxes.size(); ++i) {
      for (int row = boxes[i].top_left.row; row <= boxes[i].bottom_right.row; ++row) {
        std::fill_n(box_.begin() + row * columns_ + boxes[i].top_left.column,
                    boxes[i].bottom_right.column - boxes[i].top_left.column + 1,
                    static_cast<int>(i));
      }
    }
  }
  int at(Point p) const {
    const bool outside = p.row < 0 || p.row >= rows_ || p.column < 0 || p.column >= columns_;
    return outside ? -1 : box_[static_cast<size_t>(p.row * columns_ + p.column)];
  }

 private:
  int columns_, rows_;
  std::vector<int> box_;
};

// The box that stands before `p` on that side, with at most `gap` blanks between; -1 = none.
int box_before(const Canvas& canvas, const Cover& cover, Point p, Side side, int gap) {
  for (int i = 0; i <= gap; ++i) {
    p = Canvas::neighbour(p, side);
    if (cover.at(p) >= 0) return cover.at(p);
    if (canvas.at(p).glyph != U' ') return -1;
  }
  return -1;
}

int bends(const Cell& cell) {
  return static_cast<int>(
      std::count_if(cell.arms.begin(), cell.arms.end(), [](auto a) { return a > 0; }));
}

struct Ends {
  std::set<size_t> tails, heads;
};

void collect_ends(const Canvas& canvas, const Cover& cover, Point p, Ends& ends) {
  const Cell& cell = canvas.at(p);
  const bool bend = bends(cell) > 2;
  for (Side side : {kUp, kRight, kDown, kLeft}) {
    if (!cell.arms[side]) continue;
    const int box = box_before(canvas, cover, p, side, bend ? 0 : 1);
    if (box >= 0) ends.tails.insert(static_cast<size_t>(box));
  }
  if (cell.head < 0) return;
  const int box = box_before(canvas, cover, p, static_cast<Side>(cell.head), 1);
  if (box >= 0) ends.heads.insert(static_cast<size_t>(box));
}

}  // namespace

std::vector<Box> closed_boxes(const Canvas& canvas) {
  std::vector<Box> boxes;
  const Runs right(canvas, kRight), down(canvas, kDown);
  for (int row = 0; row < canvas.rows(); ++row) {
    for (int column = 0; column < canvas.width(row); ++column) {
      const Point p{row, column};
      Point end;
      if (!has(canvas, p, kRight, kDown) || !find_box(canvas, right, down, p, end)) continue;
      const std::string inside = canvas.text({row + 1, column + 1}, {end.row - 1, end.column - 1});
      boxes.push_back({p, end, normalise_words(inside)});
      if (boxes.size() == kMaxBoxes) return boxes;
    }
  }
  return boxes;
}

std::set<std::pair<size_t, size_t>> arrows(const Canvas& canvas, const std::vector<Box>& boxes) {
  const Cover cover(canvas, boxes);
  std::set<std::pair<size_t, size_t>> out;
  const auto free_line = [&](Point p) { return cover.at(p) < 0 && canvas.at(p).line(); };
  std::vector<bool> seen(static_cast<size_t>(canvas.rows() * canvas.columns()));
  const auto visit = [&](Point p) {
    const auto at = static_cast<size_t>(p.row * canvas.columns() + p.column);
    const bool first = !seen[at];
    seen[at] = true;
    return first;
  };
  std::vector<Point> open;
  for (int row = 0; row < canvas.rows(); ++row) {
    for (int column = 0; column < canvas.width(row); ++column) {
      if (!free_line({row, column}) || !visit({row, column})) continue;
      Ends ends;
      open.assign(1, {row, column});
      while (!open.empty()) {
        const Point p = open.back();
        open.pop_back();
        collect_ends(canvas, cover, p, ends);
        for (Side side : {kUp, kRight, kDown, kLeft}) {
          const Point next = Canvas::neighbour(p, side);
          if (canvas.at(p).arms[side] && free_line(next) && canvas.at(next).arms[opposite(side)] &&
              visit(next)) {
            open.push_back(next);
          }
        }
      }
      const auto& from = ends.tails.empty() ? ends.heads : ends.tails;
      for (size_t tail : from) {
        for (size_t head : ends.heads) {
          if (tail != head) out.emplace(tail, head);
        }
      }
    }
  }
  return out;
}

std::string loose_junction(const Canvas& canvas) {
  for (int row = 0; row < canvas.rows(); ++row) {
    for (int column = 0; column < canvas.width(row); ++column) {
      const Cell& cell = canvas.at({row, column});
      const bool straight = (cell.arms[kUp] && cell.arms[kDown] && bends(cell) == 2) ||
                            (cell.arms[kLeft] && cell.arms[kRight] && bends(cell) == 2);
      if (cell.glyph < 0x2500 || cell.glyph >= 0x2580 || bends(cell) < 2 || straight) continue;
      for (Side side : {kUp, kRight, kDown, kLeft}) {
        const Cell& next = canvas.at({row, column}, side);
        if (!cell.arms[side] || next.head == side || next.head == opposite(side)) continue;
        if (next.arms[opposite(side)] == cell.arms[side]) continue;
        static constexpr std::array kNames = {"above", "to the right", "below", "to the left"};
        return "the junction in line " + std::to_string(row + 1) + ", column " +
               std::to_string(column + 1) + " joins nothing " + kNames[side];
      }
    }
  }
  return {};
}

}  // namespace ds4::suites
