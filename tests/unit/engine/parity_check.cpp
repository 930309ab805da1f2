#include "tests/unit/engine/parity_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

namespace ds4::golden {

void check(const char* name, const Op& op, const Bounds& bounds, int rows) {
  SCOPED_TRACE(name);
  OpBench cpu(ops::make_cpu_backend(0, Precision::kReference));
  OpBench gpu(ops::make_cuda_backend(Precision::kReference));
  const std::vector<float> want = op(cpu, 0, rows);
  const std::vector<float> got = op(gpu, 0, rows);
  ASSERT_EQ(got.size(), want.size());
  double difference = 0;
  double norm = 0;
  int64_t unequal = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - want[i], 2);
    norm += std::pow(double{want[i]}, 2);
    unequal += got[i] != want[i];
  }
  const double error = std::sqrt(difference / norm);
  const double share = static_cast<double>(unequal) / static_cast<double>(got.size());
  std::printf("[  parity  ] %-34s error %.1e, unequal %.1e\n", name, error, share);
  EXPECT_LE(error, bounds.error);  // NaN fails
  EXPECT_LE(share, bounds.unequal);
  EXPECT_EQ(got, op(gpu, 0, rows)) << "a second run differs";
  const auto width = static_cast<int64_t>(got.size()) / rows;
  for (const auto& [first, n] :
       {std::pair{0, 1}, {3, 1}, {5, 2}, {8, 3}, {11, 4}, {0, 8}, {16, 17}, {rows - 1, 1}}) {
    if (first + n > rows) continue;
    const std::vector<float> part(got.begin() + first * width, got.begin() + (first + n) * width);
    EXPECT_EQ(op(gpu, first, n), part) << "rows " << first << " + " << n << " alone differ";
  }
}

void check_attention(Random& random, const AttentionCase& c) {
  const auto [name, ratio, top, first, heads, dim, rope, window, format] = c;
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
          const ops::Values o = bench.poisoned_values(n, heads * dim);
          const ops::Segment segment{0, {first + from, n}};
          bench->attend(keys, sinks, {&segment, 1}, bench.floats(part(table, from, n, rope), rope),
                        bench.values(part(q, from, n, heads * dim), heads * dim), o);
          return bench.read(o, n * heads * dim);
        },
        {4e-3, 0.15});
}

}  // namespace ds4::golden
