// Boxes and arrows in a drawing: closed rectangles with their text, and which of them arrows join.
// Knows no task; what ought to be there is diagrams.cpp's.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "suites/diagrams/canvas.h"

namespace ds4::suites {

/// A closed rectangle: corners that join its sides, sides without a gap, something inside.
struct Box {
  Point top_left;
  Point bottom_right;
  std::string label;  // normalise_words of all text inside
};

/// Every corner's smallest rectangle, in reading order; at most kMaxBoxes. Frames around other
/// boxes are among them.
inline constexpr size_t kMaxBoxes = 512;
std::vector<Box> closed_boxes(const Canvas& canvas);

/// Ordered pairs of indices into `boxes` that an arrow joins. A line begins beside a box (one blank
/// between them at most, none at a bend), follows arms that meet, and ends in a head before a box.
/// Lines that meet join every beginning with every end; a head at both ends is an arrow both ways.
/// Lines through a box are not followed. Linear in the canvas.
std::set<std::pair<size_t, size_t>> arrows(const Canvas& canvas, const std::vector<Box>& boxes);

/// The first corner, tee or cross of which an arm meets no equal arm of its neighbour (an arrowhead
/// before or behind it meets any), as text; empty when all fit.
std::string loose_junction(const Canvas& canvas);

}  // namespace ds4::suites
