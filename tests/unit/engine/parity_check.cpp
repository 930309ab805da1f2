#include "tests/unit/engine/parity_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

namespace ds4::golden {

namespace {

// Norm of the difference over that of `want`, and the share of unequal elements.
Bounds difference(std::span<const float> got, std::span<const float> want) {
  double square = 0;
  double norm = 0;
  int64_t unequal = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    square += std::pow(double{got[i]} - want[i], 2);
    norm += std::pow(double{want[i]}, 2);
    unequal += got[i] != want[i];
  }
  return {std::sqrt(square / norm), static_cast<double>(unequal) / static_cast<double>(got.size())};
}

}  // namespace

void check(const char* name, const Op& op, const Bounds& bounds, Precision precision) {
  const bool strict = precision == Precision::kReference;
  SCOPED_TRACE(std::string(name) + (strict ? "" : ", f32"));
  OpBench cpu(ops::make_cpu_backend(0, precision));
  OpBench gpu(ops::make_cuda_backend(precision));
  const std::vector<float> want = op(cpu, 0, kRows);
  const std::vector<float> got = op(gpu, 0, kRows);
  ASSERT_EQ(got.size(), want.size());
  const Bounds all = difference(got, want);
  std::printf("[  parity  ] %-34s error %.1e, unequal %.1e%s\n", name, all.error, all.unequal,
              strict ? "" : ", f32");
  EXPECT_LE(all.error, bounds.error);  // NaN fails
  EXPECT_LE(all.unequal, bounds.unequal);
  EXPECT_EQ(got, op(gpu, 0, kRows)) << "a second run differs";
  const auto width = static_cast<int64_t>(got.size()) / kRows;
  for (const auto& [first, n] :
       {std::pair{0, 1}, {3, 1}, {5, 2}, {8, 3}, {11, 4}, {0, 8}, {16, 17}, {kRows - 1, 1}}) {
    const std::span<const float> of_all = part(got, first, n, width);
    const std::vector<float> alone = op(gpu, first, n);
    if (strict) {
      EXPECT_EQ(alone, std::vector<float>(of_all.begin(), of_all.end()))
          << "rows " << first << " + " << n << " alone differ";
    } else {
      EXPECT_LE(difference(alone, of_all).error, bounds.error) << first << " + " << n;
    }
  }
}

void check_attention(Random& random, const AttentionCase& c) {
  const auto [name, ratio, top, first, heads, dim, rope, window, format, finishes] = c;
  const ops::RowLayout layout{format, dim, rope};
  const int64_t compressed = ratio ? (first + kRows) / ratio + 1 : 0;
  const std::vector<float> raw = random.values((window + kRows) * dim, 3);
  const std::vector<float> pooled = random.values(compressed * dim, 3);
  const std::vector<float> q = random.values(kRows * heads * dim, 1);
  const std::vector<float> sinks = random.numbers(heads, 4);
  std::vector<float> table;
  std::vector<int64_t> chosen;
  for (int i = 0; i < kRows; ++i) {
    const std::vector<float> angle = random.numbers(rope / 2, 3);
    for (const float a : angle) table.push_back(std::cos(a));
    for (const float a : angle) table.push_back(std::sin(a));
    const int64_t visible = ratio ? (first + i + 1) / ratio : 0;
    for (int j = 0; j < top; ++j) chosen.push_back(visible * j / top);
  }
  check(name,
        [&](OpBench& bench, int from, int n) {
          const ops::RowStore rows = bench.poisoned_rows(layout, window + kRows);
          for (int64_t i = 0; i < window + kRows; ++i) {
            const int64_t position = first - window + i;
            if (position >= 0) bench.write_row(rows, position, raw.data() + i * dim);
          }
          ops::RowStore store;
          ops::KeySet keys;
          keys.raw = {&rows, 1};
          keys.window = window;
          keys.ratio = ratio;
          if (ratio) {
            store = bench.poisoned_rows(layout, compressed);
            for (int64_t i = 0; i < compressed; ++i) {
              bench.write_row(store, i, pooled.data() + i * dim);
            }
            keys.compressed = {&store, 1};
          }
          if (top) {
            keys.selected = bench.ids(std::span(chosen).subspan(static_cast<size_t>(from * top),
                                                                static_cast<size_t>(n * top)),
                                      top);
          }
          const ops::Segment segment{0, {first + from, n}};
          const ops::Floats angles = bench.floats(part(table, from, n, rope), rope);
          const ops::Values in = bench.values(part(q, from, n, heads * dim), heads * dim);
          const ops::Values o = finishes ? in : bench.poisoned_values(n, heads * dim);
          if (finishes) bench->finish_queries(heads, kEps, n, angles, in);
          bench->attend(keys, sinks, {&segment, 1}, angles, in, o);
          return bench.read(o, n * heads * dim);
        },
        {4e-3, 0.15});
}

}  // namespace ds4::golden
