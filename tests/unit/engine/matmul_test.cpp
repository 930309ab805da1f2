// Products with stored weights at sizes that cross every block of the kernels: equal to float64
// within rounding, and the same bits for a row whatever stands beside it.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/ops/cpu/kernels.h"

namespace ds4::ops::cpu {
namespace {
using weights::Matrix;

struct Weights {
  std::vector<std::byte> data;
  std::vector<uint8_t> scales;
  Matrix matrix;

  Weights(Matrix::Format format, int64_t rows, int64_t cols) : matrix{format, rows, cols} {
    std::mt19937 random(3);
    // Exactly as large as the matrix: a read beyond it is seen by a sanitizer.
    data.resize(static_cast<size_t>(rows * matrix.row_bytes()));
    for (auto& byte : data) byte = static_cast<std::byte>(random() & 0xBF);  // no NaN, none large
    matrix.data = data.data();
    if (!matrix.quantised()) return;
    scales.resize(static_cast<size_t>(rows * matrix.scale_cols()));
    for (auto& scale : scales) scale = static_cast<uint8_t>(115 + random() % 20);
    matrix.scales = scales.data();
  }
};

class MatmulFormats : public testing::TestWithParam<Matrix::Format> {};

TEST_P(MatmulFormats, EveryRowIsTheSameAloneAndAmongOthers) {
  constexpr int64_t kMost = 150;  // more than a block of rows
  for (const int64_t cols : {16, 128, 256, 384, 544, 1000, 2304}) {
    const int64_t rows = 71;
    const Weights w(GetParam(), rows, cols);
    std::mt19937 random(9);
    std::normal_distribution<float> normal;
    std::vector<float> x(static_cast<size_t>(kMost * padded(cols)), 0.0f);
    std::vector<const float*> pointers;
    for (int64_t i = 0; i < kMost; ++i) {
      float* row = x.data() + i * padded(cols);
      for (int64_t c = 0; c < cols; ++c) row[c] = normal(random);
      pointers.push_back(row);
    }
    std::vector<float> scratch(static_cast<size_t>(kMatmulScratch), NAN);
    std::vector<float> all(static_cast<size_t>(kMost * rows), NAN);
    matmul(w.matrix, 0, rows, pointers.data(), kMost, false, all.data(), rows, scratch.data());

    std::vector<float> decoded(static_cast<size_t>(padded(cols)));
    for (int64_t o = 0; o < rows; ++o) {
      decode_weights(w.matrix, o, decoded.data());
      for (const int64_t i : {int64_t{0}, int64_t{31}, int64_t{32}, kMost - 1}) {
        double sum = 0;
        double size = 0;
        for (int64_t c = 0; c < cols; ++c) {
          const double product = static_cast<double>(decoded[static_cast<size_t>(c)]) *
                                 pointers[static_cast<size_t>(i)][c];
          sum += product;
          size += std::fabs(product);
        }
        EXPECT_NEAR(all[static_cast<size_t>(i * rows + o)], sum, size * 1e-6)
            << "row " << i << ", output " << o << ", " << cols << " columns";
      }
    }
    for (const int64_t m : {1, 2, 3, 4, 5, 33, 129}) {
      for (const int64_t begin : {int64_t{0}, int64_t{30}}) {
        std::vector<float> some(static_cast<size_t>(m * rows), NAN);
        matmul(w.matrix, begin, rows, pointers.data() + 7, m, false, some.data(), rows,
               scratch.data());
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t o = begin; o < rows; ++o) {
            EXPECT_EQ(some[static_cast<size_t>(i * rows + o - begin)],
                      all[static_cast<size_t>((i + 7) * rows + o)])
                << m << " rows, row " << i << ", output " << o << ", " << cols << " columns";
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatmulFormats,
                         testing::Values(Matrix::Format::kFp4, Matrix::Format::kFp8,
                                         Matrix::Format::kBf16, Matrix::Format::kF32));

}  // namespace
}  // namespace ds4::ops::cpu
