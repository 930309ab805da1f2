// Rotation, queries, raw rows and compressors against float64, at the shapes of the real model and
// at odd ones.
#include <gtest/gtest.h>

#include "tests/support/random_data.h"
#include "tests/unit/engine/reference/attention.h"
#include "tests/unit/engine/reference/check.h"

namespace ds4::reference {
namespace {
using golden::OpBench;
using ops::RowFormat;
using test_support::Random;

constexpr float kEps = 1e-6f;
constexpr weights::Yarn kYarn{16, 65536, 32, 1};

class Float64Rows : public ::testing::Test {
 protected:
  Random random_{37};
};

TEST_F(Float64Rows, Rotation) {
  for (const bool yarn : {false, true}) {
    const std::vector<float> f = frequencies(64, yarn ? 160000 : 10000, yarn ? &kYarn : nullptr);
    for (const int64_t first : {int64_t{0}, int64_t{1'048'500}}) {
      check(std::string("rotation ") + (yarn ? "YaRN " : "") + "at " + std::to_string(first),
            [&](OpBench& bench, int n) {
              const ops::Floats table = bench.poisoned_floats(n, 64);
              const ops::Segment segment{0, {first, n}};
              bench->rotation(f, {&segment, 1}, table);
              return bench.read(table, n * 64);
            },
            each_row([&](const Arithmetic& a, int i) { return angles(a, f, first + i); }),
            {1e-7, 0.01, 1e-7});
    }
  }
}

TEST_F(Float64Rows, QueriesAndRawRows) {
  struct Shape {
    int heads, dim, rope;
  };
  for (const Shape& s : {Shape{64, 512, 64}, {3, 72, 24}}) {
    const std::string shape = " " + std::to_string(s.heads) + " x " + std::to_string(s.dim);
    const std::vector<float> table = random_angles(random_, kManyRows, s.rope);
    const int64_t wide = int64_t{s.heads} * s.dim;
    const std::vector<float> q = random_.values(kManyRows * wide, 3);
    check(
        "finish_queries" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values out = bench.values(first_rows(q, n, wide), wide);
          bench->finish_queries(s.heads, kEps, n,
                                bench.floats(first_rows(table, n, s.rope), s.rope), out);
          return bench.read(out, n * wide);
        },
        each_row([&](const Arithmetic& a, int i) {
          Row out;
          for (int h = 0; h < s.heads; ++h) {
            const Row head =
                finish_query(a, kEps, row_of(table, s.rope, i), row_of(q, s.dim, i * s.heads + h));
            out.insert(out.end(), head.begin(), head.end());
          }
          return out;
        }));
    const std::vector<float> kv = random_.values(kManyRows * int64_t{s.dim}, 3);
    const std::vector<float> gain = random_.values(s.dim, 2);
    for (const RowFormat format : {RowFormat::kFp8, RowFormat::kBf16}) {
      check(
          std::string("store_raw_rows ") + name_of(format) + shape,
          [&](OpBench& bench, int n) {
            const ops::RowStore rows =
                bench.poisoned_rows({in_precision(format, bench.precision()), s.dim, s.rope}, 101);
            const ops::Segment segment{0, {1'000'003, n}};
            bench->store_raw_rows(gain, kEps, {&segment, 1},
                                  bench.floats(first_rows(table, n, s.rope), s.rope),
                                  bench.values(first_rows(kv, n, s.dim), s.dim), {&rows, 1});
            std::vector<float> out;
            for (int i = 0; i < n; ++i) {
              const std::vector<float> row = narrow(get_row(bench, rows, 1'000'003 + i));
              out.insert(out.end(), row.begin(), row.end());
            }
            return out;
          },
          each_row([&](const Arithmetic& a, int i) {
            return raw_row(a, format, gain, kEps, row_of(table, s.rope, i), row_of(kv, s.dim, i));
          }));
    }
  }
}

TEST_F(Float64Rows, Compressors) {
  struct Kind {
    int ratio, dim, rope;
    bool index;
    RowFormat format;
  };
  for (const Kind& k : {Kind{4, 512, 64, false, RowFormat::kFp8},
                        {4, 512, 64, false, RowFormat::kBf16},
                        {128, 512, 64, false, RowFormat::kFp8},
                        {4, 128, 64, true, RowFormat::kFp4},
                        {4, 128, 64, true, RowFormat::kBf16},
                        {4, 72, 24, false, RowFormat::kFp8},
                        {6, 40, 8, false, RowFormat::kFp8},
                        {4, 16, 8, true, RowFormat::kFp4}}) {
    constexpr int kTokens = 270;
    weights::Compressor c;
    c.ratio = k.ratio;
    c.row_dim = k.dim;
    c.width = k.dim * (k.ratio == 4 ? 2 : 1);
    c.ape = random_.numbers(int64_t{k.ratio} * c.width, 1);
    c.norm = random_.values(k.dim, 2);
    const std::vector<float> kv = random_.numbers(kTokens * int64_t{c.width}, 3);
    const std::vector<float> score = random_.numbers(kTokens * int64_t{c.width}, 3);
    const std::vector<float> f = frequencies(k.rope, 160000, &kYarn);
    const std::string name = std::string("compress") + (k.index ? " keys" : "") + ", ratio " +
                             std::to_string(k.ratio) + " x " + std::to_string(k.dim) + " " +
                             name_of(k.format);
    Rows kv_rows, score_rows;
    for (int i = 0; i < kTokens; ++i) {
      kv_rows.push_back(row_of(kv, c.width, i));
      score_rows.push_back(row_of(score, c.width, i));
    }
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      const Rows want = compressed_rows({precision == Precision::kReference}, c, k.format, k.index,
                                        kEps, f, kv_rows, score_rows);
      // Whole, and in pieces that end inside blocks.
      for (const std::vector<int>& chunks : {std::vector<int>{kTokens}, {1, 2, 5, 100, 3, 159}}) {
        OpBench bench(precision);
        const ops::RowStore rows =
            bench.poisoned_rows({in_precision(k.format, precision), k.dim, k.rope}, 80);
        const int64_t slots = 2 * k.ratio + 8;
        const ops::TailRing tail{bench.poisoned_floats(slots, c.width),
                                 bench.poisoned_floats(slots, c.width), slots};
        const ops::CompressorStep step{&c, f, kEps, {&rows, 1}, {&tail, 1}};
        int first = 0;
        for (const int n : chunks) {
          const auto part = [&](const std::vector<float>& all) {
            return std::span(all).subspan(static_cast<size_t>(first * c.width),
                                          static_cast<size_t>(n * c.width));
          };
          const ops::Segment segment{0, {first, n}};
          bench->compress(step, k.index, {&segment, 1}, bench.floats(part(kv), c.width),
                          bench.floats(part(score), c.width));
          first += n;
        }
        Row got, expected;
        for (size_t i = 0; i < want.size(); ++i) {
          const Row row = get_row(bench, rows, static_cast<int64_t>(i));
          got.insert(got.end(), row.begin(), row.end());
          expected.insert(expected.end(), want[i].begin(), want[i].end());
        }
        // A rounding that ends elsewhere before FP8 or FP4 becomes a step of these.
        expect_close(name + (chunks.size() > 1 ? ", in pieces" : ""), precision, got, expected,
                     {1e-2, 0.02, 2e-6});
      }
    }
  }
}

}  // namespace
}  // namespace ds4::reference
