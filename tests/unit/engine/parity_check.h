// One operation on the CPU and on the GPU, on random data, and its rows in other company.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tests/support/random_data.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
using test_support::Random;
using test_support::random_matrix;
using test_support::RandomMatrix;

inline constexpr int kRows = 70;  // one many-column tile and a ragged end
inline constexpr float kEps = 1e-6f;

/// Computes rows [first, first + n) of a fixed input.
using Op = std::function<std::vector<float>(OpBench& bench, int first, int n)>;

/// Largest share of the norm, and of the elements, by which the two back ends may differ: sums in
/// another order land on the other side of a rounding boundary now and then.
struct Bounds {
  double error;
  double unequal;
};

/// kRows rows on both; on the GPU twice, and parts of them alone, bit for bit (in f32, which
/// promises no bits, those within the bounds).
void check(const char* name, const Op& op, const Bounds& bounds,
           Precision precision = Precision::kReference);

/// Rows [first, first + n) of a flat matrix.
inline std::span<const float> part(const std::vector<float>& all, int first, int n, int64_t cols) {
  return std::span(all).subspan(static_cast<size_t>(first * cols), static_cast<size_t>(n * cols));
}

/// kRows queries from position `first` on over a ring of raw rows and, with a ratio, compressed
/// ones: `top` selected for each query, or all.
struct AttentionCase {
  const char* name = "";
  int ratio = 0;
  int top = 0;
  int64_t first = 0;
  int heads = 64;
  int dim = 512;
  int rope = 64;
  int window = 128;
  ops::RowFormat format = ops::RowFormat::kFp8;
  bool finishes =
      false;  // the queries in place, directly in front of attention that writes over them
};
void check_attention(Random& random, const AttentionCase& c);

}  // namespace ds4::golden
