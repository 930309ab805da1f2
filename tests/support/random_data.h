// Random parameters and activations at any shape, from a seed; never all zeros.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/weights/codecs/bf16.h"
#include "engine/weights/matrix.h"

namespace ds4::test_support {

/// A stream of hashed numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// Uniform in (-range, range).
  float number(float range) {
    return (static_cast<float>(next() >> 41) + 0.5f) * 0x1p-22f * range - range;
  }
  std::vector<float> numbers(int64_t count, float range) {
    std::vector<float> out(static_cast<size_t>(count));
    for (float& v : out) v = number(range);
    return out;
  }
  /// Numbers on the BF16 grid.
  std::vector<float> values(int64_t count, float range) {
    std::vector<float> out = numbers(count, range);
    for (float& v : out) v = weights::bf16_round(v);
    return out;
  }

 private:
  uint64_t state_;
};

/// A matrix with its bytes; weights of about `range` at most.
struct RandomMatrix {
  weights::Matrix matrix;
  std::shared_ptr<std::vector<uint64_t>> data;
  std::shared_ptr<std::vector<uint8_t>> scales;
};

inline RandomMatrix random_matrix(Random& random, weights::Matrix::Format format, int64_t rows,
                                  int64_t cols) {
  using Format = weights::Matrix::Format;
  RandomMatrix m;
  m.matrix.format = format;
  m.matrix.rows = rows;
  m.matrix.cols = cols;
  const int64_t bytes = rows * m.matrix.row_bytes();
  m.data = std::make_shared<std::vector<uint64_t>>(static_cast<size_t>((bytes + 7) / 8));
  auto* at = reinterpret_cast<uint8_t*>(m.data->data());
  if (format == Format::kBf16) {
    for (int64_t i = 0; i < bytes / 2; ++i) {
      reinterpret_cast<uint16_t*>(at)[i] = weights::bf16_encode(random.number(0.05f));
    }
  } else if (format == Format::kF32) {
    for (int64_t i = 0; i < bytes / 4; ++i) reinterpret_cast<float*>(at)[i] = random.number(0.05f);
  } else {
    for (uint64_t& word : *m.data) word = random.next();
    if (format == Format::kFp8) {
      for (int64_t i = 0; i < bytes; ++i) {
        if ((at[i] & 0x7f) == 0x7f) at[i] ^= 0x08;  // NaN
      }
    }
    const int64_t scale_rows = format == Format::kFp8 ? (rows + 127) / 128 : rows;
    m.scales = std::make_shared<std::vector<uint8_t>>(
        static_cast<size_t>(scale_rows * m.matrix.scale_cols()));
    const int base = format == Format::kFp8 ? 110 : 116;
    for (uint8_t& s : *m.scales) s = static_cast<uint8_t>(base + random.next() % 5);
    m.matrix.scales = m.scales->data();
  }
  m.matrix.data = reinterpret_cast<const std::byte*>(at);
  return m;
}

}  // namespace ds4::test_support
