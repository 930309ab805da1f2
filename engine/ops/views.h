// Handles to a back end's memory: what the forward pass passes from operation to operation without
// looking inside. Shapes are [n, cols]; the number of rows n comes with each call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ds4::ops {

/// Memory of a back end; freed with its last copy.
struct Buffer {
  std::shared_ptr<std::byte> data;
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

/// 32-bit integers: token ids, expert ids, row indices.
struct Ids {
  std::byte* data = nullptr;
  int64_t cols = 0;
};

/// Consecutive positions of one sequence: rows 0..n-1 of a view are positions first..first+n-1.
struct Chunk {
  int64_t first = 0;
  int n = 0;
  int64_t end() const { return first + n; }
};

/// f32 key/value and score rows of recent tokens, row of position p in slot p % slots
/// (model.md 4.1: position-indexed, so that going back is a counter change).
struct TailRing {
  Floats kv;     // [slots, width]
  Floats score;  // [slots, width], ape already added
  int64_t slots = 0;
};

}  // namespace ds4::ops
