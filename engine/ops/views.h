// Handles to a back end's memory: what the forward pass passes from operation to operation without
// looking inside. Shapes are [n, cols]; the number of rows n comes with each call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "engine/weights/matrix.h"

namespace ds4::ops {

/// Memory of a back end; freed with its last copy.
struct Buffer {
  std::shared_ptr<std::byte> data;
  int64_t bytes = 0;
};

/// One of several copies inside a back end's memory.
struct Copy {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  int64_t bytes = 0;
};

/// Model values: BF16 in the reference precision. The CPU holds them as f32 on the BF16 grid.
struct Values {
  std::byte* data = nullptr;
  int64_t cols = 0;
};

/// f32 numbers that the model never rounds.
struct Floats {
  std::byte* data = nullptr;
  int64_t cols = 0;
};

inline Floats row_of(Floats from, int64_t row) {
  return {from.data + row * from.cols * 4, from.cols};
}

/// 32-bit integers: token ids, expert ids, row indices.
struct Ids {
  std::byte* data = nullptr;
  int64_t cols = 0;
};

/// One of several products of the same x: values as Backend::project() gives them, or floats as
/// Backend::project_wide() does. y [n, w->rows].
struct Projection {
  const weights::Matrix* w = nullptr;
  std::variant<Values, Floats> y;
};

/// Consecutive positions first..first+n-1 of one sequence.
struct Chunk {
  int64_t first = 0;
  int n = 0;
  int64_t end() const { return first + n; }
};

/// One sequence's part of a batch: rows row..row+n-1 of every view are the positions of `chunk`.
struct Segment {
  int row = 0;
  Chunk chunk;
};

/// The segments of a batch lie end to end from row 0 and belong to different sequences. Operations
/// that read or write a sequence's memory take, beside the segments, one store per segment; the
/// stores of one call differ in address and slots only.
using Segments = std::span<const Segment>;

/// f32 key/value and score rows of recent tokens, row of position p in slot p % slots
/// (model.md 4.1: position-indexed, so that going back is a counter change).
struct TailRing {
  Floats kv;     // [slots, width]
  Floats score;  // [slots, width], ape already added
  int64_t slots = 0;
};

}  // namespace ds4::ops
