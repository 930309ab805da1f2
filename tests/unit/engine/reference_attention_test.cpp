// The indexer and attention against float64, at the shapes of the real model and at odd ones.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random_data.h"
#include "tests/unit/engine/reference/attention.h"
#include "tests/unit/engine/reference/check.h"

namespace ds4::reference {
namespace {
using golden::OpBench;
using ops::RowFormat;
using test_support::Random;

class Float64Attention : public ::testing::Test {
 protected:
  Random random_{31};
};

TEST_F(Float64Attention, Selection) {
  struct Shape {
    int heads, dim, top;
    int64_t first;
    RowFormat format;
  };
  for (const Shape& s : {Shape{64, 128, 512, 20'011, RowFormat::kFp4},
                         {64, 128, 512, 8'000, RowFormat::kBf16},
                         {64, 128, 512, 1'000, RowFormat::kFp4},
                         {3, 16, 10, 333, RowFormat::kFp4},
                         {2, 32, 512, 80'003, RowFormat::kFp4},
                         {1, 16, 300, 200'007, RowFormat::kFp4}}) {
    constexpr int kRatio = 4;
    constexpr int kQueries = 5;
    const std::string shape =
        " " + std::to_string(s.heads) + " x " + std::to_string(s.dim) + " " + name_of(s.format);
    const int64_t wide = int64_t{s.heads} * s.dim;
    const int rope = s.dim / 2;
    const std::vector<float> iq = random_.values(kManyRows * wide, 3);
    const std::vector<float> table = random_angles(random_, kManyRows, rope);
    check("finish_index_queries" + shape,
          [&](OpBench& bench, int n) {
            const ops::Values out = bench.values(first_rows(iq, n, wide), wide);
            bench->finish_index_queries(s.heads, in_precision(s.format, bench.precision()), n,
                                        bench.floats(first_rows(table, n, rope), rope), out);
            return bench.read(out, n * wide);
          },
          each_row([&](const Arithmetic& a, int i) {
            Row out;
            for (int h = 0; h < s.heads; ++h) {
              const Row head = finish_index_query(a, s.format, row_of(table, rope, i),
                                                  row_of(iq, s.dim, i * s.heads + h));
              out.insert(out.end(), head.begin(), head.end());
            }
            return out;
          }),
          {1e-2, 0.01, 2e-6});

    const std::vector<float> projected = random_.values(kQueries * int64_t{s.heads}, 2);
    const int64_t n_keys = (s.first + kQueries) / kRatio;
    const std::vector<float> raw_keys = random_.values(n_keys * s.dim, 2);
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      const Arithmetic a{precision == Precision::kReference};
      OpBench bench(precision);
      const ops::RowLayout layout{in_precision(s.format, precision), s.dim, rope};
      const ops::RowStore store = bench.poisoned_rows(layout, n_keys + 7);
      Rows keys;
      for (int64_t i = 0; i < n_keys; ++i) {
        const std::vector<std::byte> bytes =
            pack_row(layout, row_of(raw_keys, s.dim, static_cast<int>(i)));
        bench->write(bytes, store.row(i));
        keys.push_back(unpack_row(layout, bytes));
      }
      Rows queries;
      std::vector<float> flat;
      for (int i = 0; i < kQueries; ++i) {
        Row query;
        for (int h = 0; h < s.heads; ++h) {
          const Row head = finish_index_query(a, s.format, row_of(table, rope, i),
                                              row_of(iq, s.dim, i * s.heads + h));
          query.insert(query.end(), head.begin(), head.end());
        }
        flat.insert(flat.end(), query.begin(), query.end());
        if (precision == Precision::kF32) query = widen(narrow(query));  // what the back end reads
        queries.push_back(std::move(query));
      }
      const ops::Ids selected = bench.poisoned_ids(kQueries, s.top);
      const ops::Segment segment{0, {s.first, kQueries}};
      bench->select_rows(s.heads, kRatio, {&segment, 1}, bench.values(flat, wide),
                         bench.values(projected, s.heads), {&store, 1}, selected);
      const std::vector<int64_t> got = bench.read_ids(selected, kQueries * int64_t{s.top});
      int64_t others = 0;
      for (int i = 0; i < kQueries; ++i) {
        const int64_t visible = (s.first + i + 1) / kRatio;
        const auto count = static_cast<size_t>(std::min<int64_t>(s.top, visible));
        const Rows seen(keys.begin(), keys.begin() + visible);
        const Row scores = index_scores(a, s.heads, queries[static_cast<size_t>(i)],
                                        row_of(projected, s.heads, i), seen);
        std::vector<int64_t> order(static_cast<size_t>(visible));
        for (size_t j = 0; j < order.size(); ++j) order[j] = static_cast<int64_t>(j);
        std::stable_sort(order.begin(), order.end(), [&](int64_t l, int64_t r) {
          return scores[static_cast<size_t>(l)] > scores[static_cast<size_t>(r)];
        });
        const double least = scores[static_cast<size_t>(order[count - 1])];
        double most = 0;
        for (const double v : scores) most = std::max(most, std::fabs(v));
        std::vector<int64_t> want(order.begin(),
                                  order.begin() + static_cast<std::ptrdiff_t>(count));
        std::sort(want.begin(), want.end());
        const auto row = got.begin() + i * s.top;
        const std::vector<int64_t> mine(row, row + static_cast<std::ptrdiff_t>(count));
        ASSERT_TRUE(std::is_sorted(mine.begin(), mine.end()));
        ASSERT_TRUE(std::adjacent_find(mine.begin(), mine.end()) == mine.end());
        ASSERT_TRUE(std::all_of(row + static_cast<std::ptrdiff_t>(count), row + s.top,
                                [](int64_t id) { return id == -1; }));
        std::vector<int64_t> extra;
        std::set_difference(mine.begin(), mine.end(), want.begin(), want.end(),
                            std::back_inserter(extra));
        // A row chosen instead of another must score as much, but for the last rounding.
        for (const int64_t id : extra) {
          ASSERT_TRUE(id >= 0 && id < visible);
          EXPECT_GE(scores[static_cast<size_t>(id)], least - most * (a.strict ? 0x1p-7 : 1e-6));
        }
        others += static_cast<int64_t>(extra.size());
      }
      std::printf("[ float64  ] select_rows %d of %lld%s %s: %lld of %lld chosen otherwise\n",
                  s.top, static_cast<long long>(n_keys), shape.c_str(),
                  a.strict ? "reference" : "f32", static_cast<long long>(others),
                  static_cast<long long>(kQueries * int64_t{s.top}));
      EXPECT_LE(others, kQueries * s.top / 50);
    }
  }
}

struct AttentionShape {
  const char* name;
  int heads, dim, rope, window, ratio, top;
  int64_t first;
  RowFormat format;
  bool whole_segment = false;
};

TEST_F(Float64Attention, Attention) {
  for (const AttentionShape& s :
       {AttentionShape{"window, begun", 64, 512, 64, 128, 0, 0, 5, RowFormat::kFp8},
        {"window, far", 64, 512, 64, 128, 0, 0, 1'000'000, RowFormat::kFp8},
        {"window and 512 of 2,500", 64, 512, 64, 128, 4, 512, 10'000, RowFormat::kFp8},
        {"window and 512 of 2,500, BF16", 64, 512, 64, 128, 4, 512, 10'000, RowFormat::kBf16},
        {"window and 300 of ratio 128", 64, 512, 64, 128, 128, 0, 38'400, RowFormat::kFp8},
        {"draft block", 64, 512, 64, 128, 0, 0, 5'000, RowFormat::kFp8, true},
        {"odd, window and 7", 3, 72, 24, 9, 4, 7, 1'203, RowFormat::kFp8},
        {"odd, window and all", 5, 34, 10, 17, 6, 0, 500, RowFormat::kBf16}}) {
    const int64_t wide = int64_t{s.heads} * s.dim;
    const int64_t n_compressed = s.ratio ? (s.first + kManyRows) / s.ratio : 0;
    const int slots = s.window + kManyRows + 3;
    const std::vector<float> raw = random_.values(int64_t{slots} * s.dim, 3);
    const std::vector<float> pooled = random_.values(n_compressed * s.dim, 3);
    const std::vector<float> q = random_.values(kManyRows * wide, 1);
    const std::vector<float> sinks = random_.numbers(s.heads, 4);
    const std::vector<float> table = random_angles(random_, kManyRows, s.rope);
    std::vector<int64_t> chosen;
    for (int i = 0; i < kManyRows; ++i) {
      const int64_t visible = s.ratio ? (s.first + i + 1) / s.ratio : 0;
      for (int j = 0; j < s.top; ++j) {
        // The last query sees fewer than it may choose.
        const bool none = i == kManyRows - 1 && j >= s.top / 2;
        chosen.push_back(none ? -1 : visible * j / s.top);
      }
    }
    // Raw rows lie at their position modulo the slots.
    const auto raw_at = [&](int64_t position) {
      return row_of(raw, s.dim, static_cast<int>(position % slots));
    };
    const auto layout_in = [&](Precision precision) {
      return ops::RowLayout{in_precision(s.format, precision), s.dim, s.rope};
    };
    const int64_t oldest = std::max<int64_t>(0, s.first - s.window);
    const Operation operation = [&](OpBench& bench, int n) {
      const ops::RowLayout layout = layout_in(bench.precision());
      const ops::RowStore rows = bench.poisoned_rows(layout, slots);
      for (int64_t p = oldest; p < s.first + n; ++p) put_row(bench, rows, p, raw_at(p));
      ops::RowStore store;
      ops::KeySet keys;
      keys.raw = {&rows, 1};
      keys.window = s.window;
      keys.ratio = s.ratio;
      keys.whole_segment = s.whole_segment;
      if (s.ratio) {
        store = bench.poisoned_rows(layout, n_compressed);
        for (int64_t i = 0; i < n_compressed; ++i) {
          put_row(bench, store, i, row_of(pooled, s.dim, static_cast<int>(i)));
        }
        keys.compressed = {&store, 1};
      }
      if (s.top) {
        keys.selected = bench.ids(std::span(chosen).first(static_cast<size_t>(n * s.top)), s.top);
      }
      const ops::Values o = bench.poisoned_values(n, wide);
      const ops::Segment segment{0, {s.first, n}};
      bench->attend(keys, sinks, {&segment, 1}, bench.floats(first_rows(table, n, s.rope), s.rope),
                    bench.values(first_rows(q, n, wide), wide), o);
      return bench.read(o, n * wide);
    };
    const auto truth = [&](const Arithmetic& a, int i, int n) {
      const ops::RowLayout layout = layout_in(a.strict ? Precision::kReference : Precision::kF32);
      const auto stored = [&](const Row& x) { return unpack_row(layout, pack_row(layout, x)); };
      const int64_t at = s.first + i;
      int64_t from = std::max<int64_t>(0, at - s.window + 1);
      int64_t to = at + 1;
      if (s.whole_segment) {
        from = oldest;
        to = s.first + n;
      }
      Rows rows;
      for (int64_t p = from; p < to; ++p) rows.push_back(stored(raw_at(p)));
      const int64_t visible = s.ratio ? (at + 1) / s.ratio : 0;
      for (int64_t j = 0; j < (s.top ? s.top : visible); ++j) {
        const int64_t row = s.top ? chosen[static_cast<size_t>(i * s.top + j)] : j;
        if (row >= 0) rows.push_back(stored(row_of(pooled, s.dim, static_cast<int>(row))));
      }
      std::vector<const Row*> read;
      for (const Row& row : rows) read.push_back(&row);
      Row out;
      for (int h = 0; h < s.heads; ++h) {
        const Row o = rotate(
            a, attend(a, row_of(q, s.dim, i * s.heads + h), read, sinks[static_cast<size_t>(h)]),
            row_of(table, s.rope, i), true);
        out.insert(out.end(), o.begin(), o.end());
      }
      return out;
    };
    const std::string name = std::string("attend, ") + s.name;
    const Bounds bounds{4e-3, 0.15, 2e-6};
    if (!s.whole_segment) {
      check(name, operation,
            each_row([&](const Arithmetic& a, int i) { return truth(a, i, kManyRows); }), bounds);
      continue;
    }
    constexpr int kBlock = 5;
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      OpBench bench(precision);
      Row want;
      for (int i = 0; i < kBlock; ++i) {
        const Row o = truth({precision == Precision::kReference}, i, kBlock);
        want.insert(want.end(), o.begin(), o.end());
      }
      expect_close(name, precision, widen(operation(bench, kBlock)), want, bounds);
    }
  }
}

}  // namespace
}  // namespace ds4::reference
