// The CUDA back end against the CPU one at the real model's shapes on random data, every row of a
// batch against the same row in other company, and two runs against each other.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops/rope.h"
#include "tests/unit/engine/parity_check.h"

namespace ds4::golden {
namespace {
using Format = weights::Matrix::Format;

class Parity : public ::testing::Test {
 protected:
  Random random_{7};
};

TEST_F(Parity, Projections) {
  struct Shape {
    const char* name;
    Format format;
    int64_t rows, cols;
  };
  for (const Shape& s : {Shape{"wq_a FP8 [1024, 4096]", Format::kFp8, 1024, 4096},
                         {"wq_b FP8 [32768, 1024]", Format::kFp8, 32768, 1024},
                         {"wkv FP8 [512, 4096]", Format::kFp8, 512, 4096},
                         {"wo_b FP8 [4096, 8192]", Format::kFp8, 4096, 8192},
                         {"FP4 [2048, 4096]", Format::kFp4, 2048, 4096},
                         {"weights_proj BF16 [64, 4096]", Format::kBf16, 64, 4096},
                         {"odd FP8 [131, 200]", Format::kFp8, 131, 200}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const std::vector<float> x = random_.values(kRows * s.cols, 2);
    check(s.name,
          [&](OpBench& bench, int first, int n) {
            const ops::Values y = bench.poisoned_values(n, s.rows);
            bench->project(w.matrix, n, bench.values(part(x, first, n, s.cols), s.cols), y);
            return bench.read(y, n * s.rows);
          },
          {1e-3, 0.02});
  }
}

TEST_F(Parity, WideProjections) {
  struct Shape {
    const char* name;
    Format format;
    int64_t rows, cols;
  };
  for (const Shape& s : {Shape{"compressor BF16 [1024, 4096]", Format::kBf16, 1024, 4096},
                         {"router BF16 [160, 4096]", Format::kBf16, 160, 4096},
                         {"head BF16 [8192, 4096]", Format::kBf16, 8192, 4096},
                         {"F32 [24, 16384]", Format::kF32, 24, 16384}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const std::vector<float> x = random_.values(kRows * s.cols, 2);
    check(s.name,
          [&](OpBench& bench, int first, int n) {
            const ops::Floats y = bench.poisoned_floats(n, s.rows);
            bench->project_wide(w.matrix, n, bench.values(part(x, first, n, s.cols), s.cols), y);
            return bench.read(y, n * s.rows);
          },
          {2e-6, 1});
  }
}

TEST_F(Parity, GroupedProjection) {
  for (const Format format : {Format::kFp8, Format::kBf16}) {
    constexpr int kGroups = 8;
    const RandomMatrix w = random_matrix(random_, format, 8192, 4096);
    const int64_t cols = kGroups * w.matrix.cols;
    const std::vector<float> x = random_.values(kRows * cols, 2);
    check(format == Format::kFp8 ? "wo_a FP8 8 x [1024, 4096]" : "wo_a BF16 8 x [1024, 4096]",
          [&](OpBench& bench, int first, int n) {
            const ops::Values u = bench.poisoned_values(n, w.matrix.rows);
            bench->project_groups(w.matrix, kGroups, n, bench.values(part(x, first, n, cols), cols),
                                  u);
            return bench.read(u, n * w.matrix.rows);
          },
          {1e-3, 0.02});
  }
}

// Products whose results the GPU hands to the next one arranged, where the rows are few.
TEST_F(Parity, ProductsInARow) {
  constexpr int64_t kDim = 4096;
  constexpr int64_t kQueryRank = 1024;
  constexpr int64_t kQueries = 2048;
  constexpr int64_t kKv = 512;
  const RandomMatrix wq_a = random_matrix(random_, Format::kFp8, kQueryRank, kDim);
  const RandomMatrix wkv = random_matrix(random_, Format::kFp8, kKv, kDim);
  const RandomMatrix wq_b = random_matrix(random_, Format::kFp8, kQueries, kQueryRank);
  const std::vector<float> x = random_.values(kRows * kDim, 2);
  const std::vector<float> gain = random_.values(kQueryRank, 2);
  check("wq_a and wkv, norm, wq_b",
        [&](OpBench& bench, int first, int n) {
          const ops::Values in = bench.values(part(x, first, n, kDim), kDim);
          const ops::Values qr = bench.poisoned_values(n, kQueryRank);
          const ops::Values kv = bench.poisoned_values(n, kKv);
          const ops::Values q = bench.poisoned_values(n, kQueries);
          const ops::Projection inputs[] = {{&wq_a.matrix, qr}, {&wkv.matrix, kv}};
          const ops::Projection queries[] = {{&wq_b.matrix, q}};
          const ops::RmsNorm norm{gain, kEps};
          bench->project_each(inputs, n, in, nullptr);
          bench->project_each(queries, n, qr, &norm);
          return bench.read(q, n * kQueries);
        },
        {5e-3, 0.2});
  constexpr int kGroups = 8;
  constexpr int64_t kRank = 8192;
  const RandomMatrix wo_a = random_matrix(random_, Format::kFp8, kRank, kDim);
  const RandomMatrix wo_b = random_matrix(random_, Format::kFp8, kDim, kRank);
  const std::vector<float> attended = random_.values(kRows * kGroups * kDim, 2);
  check("wo_a, wo_b",
        [&](OpBench& bench, int first, int n) {
          const ops::Values o =
              bench.values(part(attended, first, n, kGroups * kDim), kGroups * kDim);
          const ops::Values u = bench.poisoned_values(n, kRank);
          const ops::Values y = bench.poisoned_values(n, kDim);
          bench->project_groups(wo_a.matrix, kGroups, n, o, u);
          bench->project(wo_b.matrix, n, u, y);
          return bench.read(y, n * kDim);
        },
        {5e-3, 0.2});
}

TEST_F(Parity, HyperConnections) {
  constexpr int kStreams = 4;
  constexpr int64_t kDim = 4096;
  constexpr int64_t kCoefficients = kStreams * (kStreams + 2);
  const RandomMatrix fn = random_matrix(random_, Format::kF32, kCoefficients, kStreams * kDim);
  const weights::HyperConnection hc{fn.matrix, random_.numbers(kCoefficients, 1),
                                    random_.numbers(3, 1)};
  const RandomMatrix head_fn = random_matrix(random_, Format::kF32, kStreams, kStreams * kDim);
  const weights::HeadMix head{head_fn.matrix, random_.numbers(kStreams, 1), random_.numbers(1, 1)};
  const ops::MixSettings settings{kStreams, 20, 1e-6f, kEps};
  const std::vector<float> gain = random_.values(kDim, 2);
  const std::vector<float> h = random_.values(kRows * kStreams * kDim, 3);
  const std::vector<float> y = random_.values(kRows * kDim, 3);
  check("mix_in: coefficients",
        [&](OpBench& bench, int first, int n) {
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values streams =
              bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
          bench->mix_in(hc, settings, gain, n, streams, mix, bench.poisoned_values(n, kDim));
          return bench.read(mix, n * kCoefficients);
        },
        {1e-5, 1});
  check("mix_in, mix_out",
        [&](OpBench& bench, int first, int n) {
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values x = bench.poisoned_values(n, kDim);
          const ops::Values streams =
              bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
          bench->mix_in(hc, settings, gain, n, streams, mix, x);
          bench->mix_out(kStreams, n, bench.values(part(y, first, n, kDim), kDim), mix, streams);
          std::vector<float> out;  // rows of x and h side by side
          const std::vector<float> xs = bench.read(x, n * kDim);
          const std::vector<float> hs = bench.read(streams, n * kStreams * kDim);
          for (int i = 0; i < n; ++i) {
            out.insert(out.end(), xs.begin() + i * kDim, xs.begin() + (i + 1) * kDim);
            out.insert(out.end(), hs.begin() + i * kStreams * kDim,
                       hs.begin() + (i + 1) * kStreams * kDim);
          }
          return out;
        },
        {1e-3, 0.02});
  check("mix_head",
        [&](OpBench& bench, int first, int n) {
          const ops::Values x = bench.poisoned_values(n, kDim);
          bench->mix_head(head, settings, gain, n,
                          bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim), x);
          return bench.read(x, n * kDim);
        },
        {1e-3, 0.02});
}

TEST_F(Parity, QueriesAndRawRows) {
  constexpr int kHeads = 64;
  constexpr int kDim = 512;
  constexpr int kRope = 64;
  constexpr int64_t kFirst = 1'000'000;
  const weights::Yarn yarn{16, 65536, 32, 1};
  const std::vector<float> frequencies = ops::rope_frequencies(kRope, 160000, &yarn);
  const std::vector<float> q = random_.values(kRows * kHeads * kDim, 3);
  const std::vector<float> kv = random_.values(kRows * kDim, 3);
  const std::vector<float> gain = random_.values(kDim, 2);
  const auto angles = [&](OpBench& bench, int first, int n) {
    const ops::Floats table = bench.poisoned_floats(n, kRope);
    const ops::Segment segment{0, {kFirst + first, n}};
    bench->rotation(frequencies, {&segment, 1}, table);
    return table;
  };
  check("rotation at 1,000,000",
        [&](OpBench& bench, int first, int n) {
          return bench.read(angles(bench, first, n), n * kRope);
        },
        {1e-7, 0.001});
  check("finish_queries 64 x 512",
        [&](OpBench& bench, int first, int n) {
          const ops::Values out = bench.values(part(q, first, n, kHeads * kDim), kHeads * kDim);
          bench->finish_queries(kHeads, kEps, n, angles(bench, first, n), out);
          return bench.read(out, n * kHeads * kDim);
        },
        {1e-3, 0.02});
  for (const ops::RowFormat format : {ops::RowFormat::kFp8, ops::RowFormat::kBf16}) {
    check(format == ops::RowFormat::kFp8 ? "raw rows FP8" : "raw rows BF16",
          [&](OpBench& bench, int first, int n) {
            const ops::RowStore rows = bench.poisoned_rows({format, kDim, kRope}, 256);
            const ops::Segment segment{0, {kFirst + first, n}};
            bench->store_raw_rows(gain, kEps, {&segment, 1}, angles(bench, first, n),
                                  bench.values(part(kv, first, n, kDim), kDim), {&rows, 1});
            std::vector<float> out;
            for (int i = 0; i < n; ++i) {
              const std::vector<float> row = bench.read_row(rows, kFirst + first + i);
              out.insert(out.end(), row.begin(), row.end());
            }
            return out;
          },
          {1e-3, 0.02});
  }
}

TEST_F(Parity, IndexerSelection) {
  constexpr int kHeads = 64;
  constexpr int kDim = 128;
  constexpr int kTop = 512;
  constexpr int kRatio = 4;
  constexpr int64_t kFirst = 20'011;
  constexpr int64_t kKeys = (kFirst + kRows) / kRatio + 1;
  const std::vector<float> iq = random_.values(kRows * kHeads * kDim, 3);
  const std::vector<float> projected = random_.values(kRows * kHeads, 2);
  const std::vector<float> keys = random_.values(kKeys * kDim, 2);
  const std::vector<float> table = [&] {
    std::vector<float> t;
    for (int i = 0; i < kRows; ++i) {
      const std::vector<float> angle = random_.numbers(32, 3);
      for (const float a : angle) t.push_back(std::cos(a));
      for (const float a : angle) t.push_back(std::sin(a));
    }
    return t;
  }();
  const auto queries = [&](OpBench& bench, int first, int n) {
    const ops::Values q = bench.values(part(iq, first, n, kHeads * kDim), kHeads * kDim);
    bench->finish_index_queries(kHeads, ops::RowFormat::kFp4, n,
                                bench.floats(part(table, first, n, 64), 64), q);
    return q;
  };
  check("finish_index_queries 64 x 128",
        [&](OpBench& bench, int first, int n) {
          return bench.read(queries(bench, first, n), n * kHeads * kDim);
        },
        {1e-2, 0.001});
  check("select_rows 512 of 5,000",
        [&](OpBench& bench, int first, int n) {
          const ops::RowStore store = bench.poisoned_rows({ops::RowFormat::kFp4, kDim, 64}, kKeys);
          for (int64_t i = 0; i < kKeys; ++i) bench.write_row(store, i, keys.data() + i * kDim);
          const ops::Ids selected = bench.poisoned_ids(n, kTop);
          const ops::Segment segment{0, {kFirst + first, n}};
          bench->select_rows(kHeads, kRatio, {&segment, 1}, queries(bench, first, n),
                             bench.values(part(projected, first, n, kHeads), kHeads), {&store, 1},
                             selected);
          const std::vector<int64_t> ids = bench.read_ids(selected, n * kTop);
          return std::vector<float>(ids.begin(), ids.end());
        },
        {1e-2, 0.05});
}

// More keys than one block of the selection holds, most of them alike, so that ties decide.
TEST_F(Parity, SelectionAmongKeysAlike) {
  constexpr int kHeads = 8;
  constexpr int kDim = 128;
  constexpr int kTop = 512;
  constexpr int kRatio = 4;
  constexpr int64_t kFirst = 40'011;
  constexpr int64_t kKeys = (kFirst + kRows) / kRatio + 1;
  constexpr int64_t kOther = 30;  // every so many keys, one of its own
  const std::vector<float> iq = random_.values(kRows * kHeads * kDim, 3);
  const std::vector<float> projected = random_.values(kRows * kHeads, 2);
  const std::vector<float> keys = random_.values((kKeys / kOther + 2) * kDim, 2);
  check("select_rows 512 of 10,000, most alike",
        [&](OpBench& bench, int first, int n) {
          const ops::RowStore store = bench.poisoned_rows({ops::RowFormat::kFp4, kDim, 64}, kKeys);
          for (int64_t i = 0; i < kKeys; ++i) {
            const int64_t from = i % kOther == 7 ? i / kOther + 1 : 0;
            bench.write_row(store, i, keys.data() + from * kDim);
          }
          const ops::Ids selected = bench.poisoned_ids(n, kTop);
          const ops::Segment segment{0, {kFirst + first, n}};
          bench->select_rows(kHeads, kRatio, {&segment, 1},
                             bench.values(part(iq, first, n, kHeads * kDim), kHeads * kDim),
                             bench.values(part(projected, first, n, kHeads), kHeads), {&store, 1},
                             selected);
          const std::vector<int64_t> ids = bench.read_ids(selected, n * kTop);
          return std::vector<float>(ids.begin(), ids.end());
        },
        {0.05, 0.2});
}

TEST_F(Parity, Attention) {
  check_attention(random_, {.name = "attend, window only", .first = 5});
  check_attention(
      random_,
      {.name = "attend, window and 512 of 2,500", .ratio = 4, .top = 512, .first = 10'000});
  check_attention(random_,
                  {.name = "attend, window and 300 of ratio 128", .ratio = 128, .first = 38'400});
  check_attention(random_, {.name = "finish_queries and attend, ratio 128",
                            .ratio = 128,
                            .first = 38'400,
                            .finishes = true});
}

TEST_F(Parity, Compressors) {
  struct Kind {
    const char* name;
    int ratio, dim;
    bool index;
  };
  for (const Kind& kind : {Kind{"compress, ratio 4", 4, 512, false},
                           {"compress, indexer keys", 4, 128, true},
                           {"compress, ratio 128", 128, 512, false}}) {
    constexpr int kTokens = 300;
    const int width = kind.dim * (kind.ratio == 4 ? 2 : 1);
    weights::Compressor c;
    c.ratio = kind.ratio;
    c.row_dim = kind.dim;
    c.width = width;
    c.ape = random_.numbers(kind.ratio * width, 1);
    c.norm = random_.values(kind.dim, 2);
    const std::vector<float> kv = random_.numbers(kTokens * width, 3);
    const std::vector<float> score = random_.numbers(kTokens * width, 3);
    const std::vector<float> frequencies = ops::rope_frequencies(64, 160000, nullptr);
    const ops::RowLayout layout{kind.index ? ops::RowFormat::kFp4 : ops::RowFormat::kFp8, kind.dim,
                                64};
    const int blocks = kTokens / kind.ratio;
    OpBench cpu(ops::make_cpu_backend(0, Precision::kReference));
    const auto rows_in = [&](OpBench& bench, const std::vector<int>& chunks) {
      const ops::RowStore rows = bench.poisoned_rows(layout, blocks);
      const int64_t slots = 2 * kind.ratio + 8;
      const ops::TailRing tail{bench.poisoned_floats(slots, width),
                               bench.poisoned_floats(slots, width), slots};
      const ops::CompressorStep step{&c, frequencies, kEps, {&rows, 1}, {&tail, 1}};
      int first = 0;
      for (const int n : chunks) {
        const ops::Segment segment{0, {first, n}};
        bench->compress(step, kind.index, {&segment, 1},
                        bench.floats(part(kv, first, n, width), width),
                        bench.floats(part(score, first, n, width), width));
        first += n;
      }
      std::vector<float> out;
      for (int i = 0; i < blocks; ++i) {
        const std::vector<float> row = bench.read_row(rows, i);
        out.insert(out.end(), row.begin(), row.end());
      }
      return out;
    };
    const std::vector<float> want = rows_in(cpu, {kTokens});
    OpBench gpu(ops::make_cuda_backend(Precision::kReference));
    const std::vector<float> got = rows_in(gpu, {kTokens});
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      difference += std::pow(double{got[i]} - want[i], 2);
      norm += std::pow(double{want[i]}, 2);
    }
    const double error = std::sqrt(difference / norm);
    std::printf("[  parity  ] %-34s error %.1e\n", kind.name, error);
    EXPECT_LE(error, 1e-2);
    EXPECT_EQ(got, rows_in(gpu, {1, 2, 3, 4, 5, 120, 1, 164})) << kind.name;
    EXPECT_EQ(got, rows_in(gpu, std::vector<int>(kTokens, 1))) << kind.name;
  }
}

TEST_F(Parity, RoutingAndExperts) {
  constexpr int kExperts = 160;
  constexpr int kLoaded = 32;  // experts with weights
  constexpr int kTop = 6;
  constexpr int64_t kDim = 4096;
  constexpr int64_t kInter = 2048;
  weights::Moe router;
  router.experts.resize(kExperts);
  router.bias = random_.numbers(kExperts, 1);
  const std::vector<float> logits = random_.numbers(kRows * kExperts, 5);
  check("route 6 of 160",
        [&](OpBench& bench, int first, int n) {
          const ops::Ids ids = bench.poisoned_ids(n, kTop);
          const ops::Floats weight = bench.poisoned_floats(n, kTop);
          bench->route(router, {kTop, true, 1.5f}, n,
                       bench.ids(std::vector<int64_t>(static_cast<size_t>(n), 0), 1),
                       bench.floats(part(logits, first, n, kExperts), kExperts), ids, weight);
          const std::vector<int64_t> chosen = bench.read_ids(ids, n * kTop);
          const std::vector<float> weights = bench.read(weight, n * kTop);
          std::vector<float> out;
          for (size_t i = 0; i < chosen.size(); ++i) {
            out.push_back(static_cast<float>(chosen[i]));
            out.push_back(weights[i]);
          }
          return out;
        },
        {1e-6, 0.5});

  std::vector<RandomMatrix> keep;
  const auto expert = [&](Format format) {
    const auto make = [&](int64_t rows, int64_t cols) {
      keep.push_back(random_matrix(random_, format, rows, cols));
      return keep.back().matrix;
    };
    return weights::Expert{make(kInter, kDim), make(kDim, kInter), make(kInter, kDim)};
  };
  weights::Moe moe;
  for (int e = 0; e < kLoaded; ++e) moe.experts.push_back(expert(Format::kFp4));
  moe.shared = expert(Format::kFp8);
  const std::vector<float> x = random_.values(kRows * kDim, 2);
  std::vector<int64_t> ids;
  for (int i = 0; i < kRows; ++i) {
    // Distinct ids, except that every ninth token names one twice, as hash tables may.
    const auto start = static_cast<int64_t>(random_.next() % kLoaded);
    for (int j = 0; j < kTop; ++j) ids.push_back((start + 5 * j) % kLoaded);
    if (i % 9 == 0) ids.back() = ids[ids.size() - kTop];
  }
  const std::vector<float> weight = [&] {
    std::vector<float> w = random_.numbers(kRows * kTop, 1);
    for (float& v : w) v = std::fabs(v);
    return w;
  }();
  const auto ids_of = [&](OpBench& bench, int first, int n) {
    return bench.ids(
        std::span(ids).subspan(static_cast<size_t>(first * kTop), static_cast<size_t>(n * kTop)),
        kTop);
  };
  check("experts 6 of 32, shared",
        [&](OpBench& bench, int first, int n) {
          const ops::Values y = bench.poisoned_values(n, kDim);
          bench->experts(moe, 10, kTop, n, bench.values(part(x, first, n, kDim), kDim),
                         ids_of(bench, first, n), bench.floats(part(weight, first, n, kTop), kTop),
                         y);
          return bench.read(y, n * kDim);
        },
        {5e-3, 0.05});
  // From one sublayer to the next, with nothing in between that would part the operations.
  constexpr int kStreams = 4;
  constexpr int64_t kCoefficients = kStreams * (kStreams + 2);
  const RandomMatrix fn = random_matrix(random_, Format::kF32, kCoefficients, kStreams * kDim);
  const weights::HyperConnection hc{fn.matrix, random_.numbers(kCoefficients, 1),
                                    random_.numbers(3, 1)};
  const ops::MixSettings settings{kStreams, 20, 1e-6f, 1e-6f};
  const std::vector<float> gain = random_.values(kDim, 2);
  const std::vector<float> h = random_.values(kRows * kStreams * kDim, 3);
  const std::vector<float> scores = random_.numbers(kRows * kLoaded, 3);
  moe.bias = random_.numbers(kLoaded, 1);
  check("mix_in, route, experts, mix_out, mix_in",
        [&](OpBench& bench, int first, int n) {
          const ops::Values streams =
              bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values in = bench.poisoned_values(n, kDim);
          const ops::Values y = bench.poisoned_values(n, kDim);
          const ops::Floats scored = bench.floats(part(scores, first, n, kLoaded), kLoaded);
          const ops::Ids tokens = bench.ids(std::vector<int64_t>(static_cast<size_t>(n), 0), 1);
          const ops::Ids chosen = bench.poisoned_ids(n, kTop);
          const ops::Floats route_weight = bench.poisoned_floats(n, kTop);
          bench->mix_in(hc, settings, gain, n, streams, mix, in);
          bench->route(moe, {kTop, true, 1.5f}, n, tokens, scored, chosen, route_weight);
          bench->experts(moe, 10, kTop, n, in, chosen, route_weight, y);
          bench->mix_out(kStreams, n, y, mix, streams);
          bench->mix_in(hc, settings, gain, n, streams, mix, in);
          const std::vector<float> parts[] = {bench.read(in, n * kDim),
                                              bench.read(streams, n * kStreams * kDim),
                                              bench.read(mix, n * kCoefficients)};
          std::vector<float> out;
          for (int i = 0; i < n; ++i) {
            for (const std::vector<float>& all : parts) {
              const auto row = static_cast<int64_t>(all.size()) / n;
              out.insert(out.end(), all.begin() + i * row, all.begin() + (i + 1) * row);
            }
          }
          return out;
        },
        {5e-3, 0.05});
  // The same with the router, whose product chooses the experts on the GPU where the rows are few.
  // The bias decides, so that no rounding does.
  weights::Moe decided = moe;
  for (int e = 0; e < kLoaded; ++e) {
    decided.bias[static_cast<size_t>(e)] = static_cast<float>(e * 7 % kLoaded) * 1000;
  }
  const RandomMatrix gate = random_matrix(random_, Format::kBf16, kLoaded, kDim);
  check("mix_in, router, route, experts",
        [&](OpBench& bench, int first, int n) {
          const ops::Values streams =
              bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values in = bench.poisoned_values(n, kDim);
          const ops::Values y = bench.poisoned_values(n, kDim);
          const ops::Floats scored = bench.poisoned_floats(n, kLoaded);
          const ops::Ids tokens = bench.ids(std::vector<int64_t>(static_cast<size_t>(n), 0), 1);
          const ops::Ids chosen = bench.poisoned_ids(n, kTop);
          const ops::Floats route_weight = bench.poisoned_floats(n, kTop);
          bench->mix_in(hc, settings, gain, n, streams, mix, in);
          bench->project_wide(gate.matrix, n, in, scored);
          bench->route(decided, {kTop, true, 1.5f}, n, tokens, scored, chosen, route_weight);
          bench->experts(decided, 10, kTop, n, in, chosen, route_weight, y);
          return bench.read(y, n * kDim);
        },
        {5e-3, 0.2});
  check("expert norms",
        [&](OpBench& bench, int first, int n) {
          const ops::Floats norms = bench.poisoned_floats(n, kTop);
          bench->expert_norms(moe, 10, kTop, n, bench.values(part(x, first, n, kDim), kDim),
                              ids_of(bench, first, n), norms);
          return bench.read(norms, n * kTop);
        },
        {1e-4, 1});
}

}  // namespace
}  // namespace ds4::golden
