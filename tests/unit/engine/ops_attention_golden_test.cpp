// Compressor, indexer and sink attention against the golden vectors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/engine/golden_case.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {
using ops::RowFormat;

// All rows a compressor writes when its tokens arrive in `chunks`.
std::vector<float> compressed_rows(const Case& c, Precision precision, RowFormat format,
                                   const std::vector<int>& chunks) {
  OpBench bench(precision);
  const int64_t width = c.shape("kv")[1];
  const int64_t tokens = c.shape("kv")[0];
  weights::Compressor parameters;
  parameters.ratio = c.integer("ratio");
  parameters.row_dim = c.integer("dim");
  parameters.width = static_cast<int>(width);
  parameters.ape = c.floats("ape");
  parameters.norm = c.floats("norm");
  const auto kv = c.floats("kv");
  const auto score = c.floats("score");
  const auto freqs = c.floats("freqs");
  const int64_t slots = 2 * parameters.ratio;
  const int64_t blocks = tokens / parameters.ratio;
  const ops::RowStore rows = bench.poisoned_rows(
      {format, parameters.row_dim, c.integer("rope_dim")}, std::max<int64_t>(blocks, 1));
  const ops::TailRing tail{bench.poisoned_floats(slots, width), bench.poisoned_floats(slots, width),
                           slots};
  const ops::CompressorStep step{
      &parameters, freqs, static_cast<float>(c.number("eps")), {&rows, 1}, {&tail, 1}};
  int64_t first = 0;
  for (const int n : chunks) {
    const auto part = [&](const std::vector<float>& all) {
      return bench.floats({all.data() + first * width, static_cast<size_t>(n * width)}, width);
    };
    const ops::Segment segment{0, {first, n}};
    bench->compress(step, c.flag("indexer"), {&segment, 1}, part(kv), part(score));
    first += n;
  }
  std::vector<float> got;
  for (int64_t b = 0; b < blocks; ++b) {
    const std::vector<float> row = bench.read_row(rows, b);
    got.insert(got.end(), row.begin(), row.end());
  }
  return got;
}

TEST(OpsGolden, Compressor) {
  for_each_case("compressor", [](const Case& c) {
    const RowFormat packed = c.flag("indexer") ? RowFormat::kFp4 : RowFormat::kFp8;
    std::vector<float> whole;
    for (const std::vector<int>& chunks : c.chunks()) {
      const auto rows = compressed_rows(c, Precision::kReference, packed, chunks);
      c.check("rows", rows);
      if (whole.empty()) whole = rows;
      EXPECT_EQ(rows, whole) << "chunks of " << chunks[0];
      if (!c.has_output("rows_bf16")) continue;
      c.check("rows_bf16", compressed_rows(c, Precision::kReference, RowFormat::kBf16, chunks));
      c.check("rows_true", compressed_rows(c, Precision::kF32, RowFormat::kF32, chunks));
    }
  });
}

TEST(OpsGolden, IndexQuery) {
  for_each_case("index_query", [](const Case& c) {
    const auto positions = c.integers("positions");
    const auto freqs = c.floats("freqs");
    const auto n = static_cast<int>(positions.size());
    const int64_t heads = c.shape("iq")[1];
    const int64_t cols = heads * c.shape("iq")[2];
    const auto rope = static_cast<int64_t>(2 * freqs.size());
    for (const auto& [format, role] :
         {std::pair{RowFormat::kFp4, "y"}, {RowFormat::kBf16, "y_bf16"}}) {
      OpBench bench;
      const ops::Floats table = bench.poisoned_floats(n, rope);
      std::vector<ops::Segment> segments;
      for (int t = 0; t < n; ++t) segments.push_back({t, {positions[static_cast<size_t>(t)], 1}});
      bench->rotation(freqs, segments, table);
      const ops::Values iq = bench.values(c.floats("iq"), cols);
      bench->finish_index_queries(static_cast<int>(heads), format, n, table, iq);
      c.check(role, bench.read(iq, n * cols));
    }
  });
}

TEST(OpsGolden, SinkAttention) {
  for_each_case("sink_attention", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const auto n = static_cast<int>(c.shape("q")[0]);
      const int64_t heads = c.shape("q")[1];
      const auto dim = static_cast<int>(c.shape("q")[2]);
      const auto positions = c.integers("positions");
      const auto store = [&](const std::string& role_name) {
        const auto from = c.floats(role_name);
        const int64_t count = c.shape(role_name)[0];
        const ops::RowStore rows = bench.poisoned_rows({RowFormat::kBf16, dim, 0}, count);
        for (int64_t i = 0; i < count; ++i) {
          bench.write_row(rows, i, from.data() + i * dim);
        }
        return rows;
      };
      const ops::RowStore raw = store("raw");
      ops::RowStore compressed;
      ops::KeySet keys{{&raw, 1}, c.integer("window"), {}, c.integer("ratio"), {}};
      if (c.has_input("compressed")) {
        compressed = store("compressed");
        keys.compressed = {&compressed, 1};
      }
      if (c.has_input("ids")) {
        const int64_t k = c.shape("ids")[1];
        auto ids = c.integers("ids");
        for (auto row = ids.begin(); row != ids.end(); row += k) {
          // The operation takes ascending rows with -1 behind them.
          std::sort(row, row + k, [](int64_t a, int64_t b) {
            return static_cast<uint64_t>(a) < static_cast<uint64_t>(b);
          });
        }
        keys.selected = bench.ids(ids, k);
      }
      // The vectors stop before the inverse rotation: turn by an angle of zero.
      const int64_t rope = 4;
      std::vector<float> still;
      for (int t = 0; t < n; ++t) still.insert(still.end(), {1, 1, 0, 0});
      const ops::Values o = bench.poisoned_values(n, heads * dim);
      const ops::Segment segment{0, {positions[0], n}};
      bench->attend(keys, c.floats("sink"), {&segment, 1}, bench.floats(still, rope),
                    bench.values(c.floats("q"), heads * dim), o);
      c.check(role, bench.read(o, n * heads * dim));
    }
  });
}

}  // namespace
}  // namespace ds4::golden
