// The operations that only drafting needs, against the golden vectors.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/engine/golden_case.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {

TEST(OpsGolden, MtpInput) {
  for_each_case("mtp_input", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      weights::ClassicMtp mtp;
      mtp.e_proj = c.matrix("e_proj.");
      mtp.h_proj = c.matrix("h_proj.");
      mtp.enorm = c.floats("enorm");
      mtp.hnorm = c.floats("hnorm");
      const int64_t n = c.shape("h")[0];
      const int64_t streams = c.shape("h")[1];
      const int64_t d = c.shape("h")[2];
      const ops::Values h = bench.values(c.floats("h"), streams * d);
      bench->mtp_input(mtp, static_cast<float>(c.number("eps")), static_cast<int>(n),
                       bench.values(c.floats("embedding"), d), h);
      c.check(role, bench.read(h, n * streams * d));
    }
  });
}

TEST(OpsGolden, StreamMean) {
  for_each_case("stream_mean", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const int64_t n = c.shape("h")[0];
      const int64_t streams = c.shape("h")[1];
      const int64_t d = c.shape("h")[2];
      // Side by side with another layer's columns, which must stay as they are.
      const int64_t column = 3;
      const int64_t cols = column + d + 2;
      const ops::Values mean =
          bench.values(std::vector<float>(static_cast<size_t>(n * cols), 7), cols);
      bench->mean_streams(static_cast<int>(streams), static_cast<int>(n),
                          bench.values(c.floats("h"), streams * d), column, mean);
      const std::vector<float> rows = bench.read(mean, n * cols);
      std::vector<float> got;
      for (int64_t i = 0; i < n; ++i) {
        const auto row = rows.begin() + i * cols;
        got.insert(got.end(), row + column, row + column + d);
        for (const int64_t other : {int64_t{0}, column - 1, column + d, cols - 1}) {
          EXPECT_EQ(row[other], 7) << other;
        }
      }
      c.check(role, got);
    }
  });
}

TEST(OpsGolden, MarkovBias) {
  for_each_case("markov_bias", [](const Case& c) {
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      OpBench bench(precision);
      const std::vector<float> logits = c.floats("logits");
      const auto vocab = static_cast<int64_t>(logits.size());
      std::vector<float> rows(static_cast<size_t>(3 * vocab), 7);
      std::copy(logits.begin(), logits.end(), rows.begin() + vocab);
      const ops::Floats out = bench.floats(rows, vocab);
      bench->add_markov_bias(c.matrix("w1."), c.matrix("w2."), c.integer("previous"), 1, out);
      const std::vector<float> got = bench.read(out, 3 * vocab);
      c.check("y", std::span(got).subspan(logits.size(), logits.size()));
      EXPECT_EQ(got[logits.size() - 1], 7);
      EXPECT_EQ(got[2 * logits.size()], 7);
    }
  });
}

// All queries of a draft block read the window before it and the whole block.
TEST(OpsGolden, BlockAttention) {
  for_each_case("block_attention", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const auto n = static_cast<int>(c.shape("q")[0]);
      const int64_t heads = c.shape("q")[1];
      const auto dim = static_cast<int>(c.shape("q")[2]);
      const int64_t first = c.integers("first")[0];
      const auto from = c.floats("raw");
      // A ring just large enough; what it does not hold stays poisoned.
      const int64_t slots = c.integer("window") + n;
      const ops::RowStore raw = bench.poisoned_rows({ops::RowFormat::kBf16, dim, 0}, slots);
      for (int64_t i = std::max<int64_t>(0, first + n - slots); i < first + n; ++i) {
        bench.write_row(raw, i, from.data() + i * dim);
      }
      ops::KeySet keys;
      keys.raw = {&raw, 1};
      keys.window = c.integer("window");
      keys.whole_segment = true;
      const std::vector<float> still = [&] {  // the vectors stop before the inverse rotation
        std::vector<float> table;
        for (int t = 0; t < n; ++t) table.insert(table.end(), {1, 1, 0, 0});
        return table;
      }();
      const ops::Values o = bench.poisoned_values(n, heads * dim);
      const ops::Segment segment{0, {first, n}};
      bench->attend(keys, c.floats("sink"), {&segment, 1}, bench.floats(still, 4),
                    bench.values(c.floats("q"), heads * dim), o);
      c.check(role, bench.read(o, n * heads * dim));
    }
  });
}

}  // namespace
}  // namespace ds4::golden
