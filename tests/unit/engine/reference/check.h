// Holds an operation of the back end under test against the float64 reference: in the model's own
// arithmetic and without roundings, for few and for many rows, outputs poisoned beforehand.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/random_data.h"
#include "tests/unit/engine/op_fixture.h"
#include "tests/unit/engine/reference/layers.h"

namespace ds4::reference {

/// Largest norm of the difference over the norm of the truth, and the largest share of elements
/// that may differ, in the model's arithmetic: sums in another order end on the other side of a
/// rounding boundary now and then. Without roundings the difference is float32's own.
struct Bounds {
  double error = 1e-3;
  double unequal = 0.02;
  double f32_error = 2e-6;
};

/// Row counts that operations run with; of the many, a few rows are checked.
inline constexpr int kFewRows = 3;
inline constexpr int kManyRows = 70;

inline Row widen(std::span<const float> x) {
  return {x.begin(), x.end()};
}
/// Row i of a fixed input.
inline Row row_of(const std::vector<float>& all, int64_t cols, int i) {
  return widen(std::span(all).subspan(static_cast<size_t>(i * cols), static_cast<size_t>(cols)));
}
/// Cosines and sines of random angles, a row per token.
inline std::vector<float> random_angles(test_support::Random& random, int n, int rope) {
  std::vector<float> table;
  for (int i = 0; i < n; ++i) {
    const std::vector<float> angle = random.numbers(rope / 2, 3);
    for (const float v : angle) table.push_back(std::cos(v));
    for (const float v : angle) table.push_back(std::sin(v));
  }
  return table;
}
inline std::span<const float> first_rows(const std::vector<float>& all, int n, int64_t cols) {
  return std::span(all).first(static_cast<size_t>(n * cols));
}

inline void expect_close(const std::string& name, Precision precision, const Row& got,
                         const Row& want, const Bounds& bounds) {
  ASSERT_EQ(got.size(), want.size()) << name;
  double difference = 0;
  double norm = 0;
  double furthest = 0;
  double most = 0;
  size_t unequal = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double off = std::fabs(got[i] - want[i]);
    difference += off * off;
    norm += want[i] * want[i];
    furthest = std::isnan(off) ? NAN : std::max(furthest, off);
    most = std::max(most, std::fabs(want[i]));
    unequal += got[i] != want[i];
  }
  const double error = std::sqrt(difference / norm);
  const double share = static_cast<double>(unequal) / static_cast<double>(got.size());
  const bool strict = precision == Precision::kReference;
  std::printf("[ float64  ] %-40s %-9s error %.1e, largest %.1e of the largest value", name.c_str(),
              strict ? "reference" : "f32", error, furthest / most);
  if (strict) std::printf(", unequal %.1e", share);
  std::printf("\n");
  EXPECT_LE(error, strict ? bounds.error : bounds.f32_error) << name;  // NaN fails
  if (strict) {
    EXPECT_LE(share, bounds.unequal) << name;
  }
}

// Only the formats of the precision occur.
inline ops::RowFormat in_precision(ops::RowFormat format, Precision precision) {
  return precision == Precision::kF32 ? ops::RowFormat::kF32 : format;
}
inline const char* name_of(ops::RowFormat format) {
  return format == ops::RowFormat::kFp8 ? "FP8" : format == ops::RowFormat::kFp4 ? "FP4" : "BF16";
}

inline std::vector<float> narrow(const Row& x) {
  return {x.begin(), x.end()};
}

inline void put_row(golden::OpBench& bench, const ops::RowStore& store, int64_t index,
                    const Row& x) {
  bench->write(pack_row(store.layout, x), store.row(index));
}
inline Row get_row(golden::OpBench& bench, const ops::RowStore& store, int64_t index) {
  std::vector<std::byte> bytes(static_cast<size_t>(store.layout.bytes()));
  bench->read(store.row(index), bytes);
  return unpack_row(store.layout, bytes);
}

/// Computes rows 0..n-1 of a fixed input, end to end.
using Operation = std::function<std::vector<float>(golden::OpBench& bench, int n)>;
/// The same rows by the reference, those asked for.
using Truth = std::function<Rows(const Arithmetic& a, std::span<const int> rows)>;

/// A truth that looks at each row by itself.
inline Truth each_row(std::function<Row(const Arithmetic& a, int row)> one) {
  return [one = std::move(one)](const Arithmetic& a, std::span<const int> rows) {
    Rows out;
    for (const int row : rows) out.push_back(one(a, row));
    return out;
  };
}

inline void check(const std::string& name, const Operation& operation, const Truth& truth,
                  const Bounds& bounds = {}) {
  const std::vector<int> checked = {0, 1, kFewRows - 1, 37, kManyRows - 1};
  for (const Precision precision : {Precision::kReference, Precision::kF32}) {
    const Rows want = truth({precision == Precision::kReference}, checked);
    for (const int n : {kFewRows, kManyRows}) {
      golden::OpBench bench(precision);
      const std::vector<float> all = operation(bench, n);
      const auto cols = static_cast<int64_t>(all.size()) / n;
      Row got, expected;
      for (size_t i = 0; i < checked.size(); ++i) {
        if (checked[i] >= n) continue;
        const Row row = row_of(all, cols, checked[i]);
        got.insert(got.end(), row.begin(), row.end());
        expected.insert(expected.end(), want[i].begin(), want[i].end());
      }
      expect_close(name + ", " + std::to_string(n) + " rows", precision, got, expected, bounds);
    }
  }
}

}  // namespace ds4::reference
