// The kernels of the CUDA back end at small shapes, whole tiles and ragged ends: few enough bytes
// for compute-sanitizer, which slows everything down a hundredfold. The real shapes are those of
// parity_gpu_test.cpp. Which kernel each test reaches: docs/hardness.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "engine/ops/cuda/estimate.h"
#include "tests/unit/engine/parity_check.h"

namespace ds4::golden {
namespace {
using Format = weights::Matrix::Format;

class SmallShapes : public ::testing::Test {
 protected:
  Random random_{11};
};

// Tiles with one slice of k and with several, and what is not tiled; for few columns and for many.
TEST_F(SmallShapes, Products) {
  struct Shape {
    const char* name;
    Format format;
    int64_t rows, cols;
    bool wide;
  };
  for (const Shape& s : {Shape{"FP8 [128, 128]", Format::kFp8, 128, 128, false},
                         {"FP8 [256, 512]", Format::kFp8, 256, 512, false},
                         {"FP4 [48, 128]", Format::kFp4, 48, 128, false},
                         {"FP4 [64, 384]", Format::kFp4, 64, 384, false},
                         {"BF16 [48, 128]", Format::kBf16, 48, 128, false},
                         {"BF16 [48, 256] wide", Format::kBf16, 48, 256, true},
                         {"FP8 [128, 256] wide", Format::kFp8, 128, 256, true},
                         {"FP8 [128, 128] wide", Format::kFp8, 128, 128, true},
                         {"BF16 [48, 128] wide", Format::kBf16, 48, 128, true},
                         {"odd FP8 [131, 200]", Format::kFp8, 131, 200, false},
                         {"F32 [12, 256] wide", Format::kF32, 12, 256, true}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const std::vector<float> x = random_.values(kRows * s.cols, 2);
    check(s.name,
          [&](OpBench& bench, int first, int n) {
            const ops::Values in = bench.values(part(x, first, n, s.cols), s.cols);
            if (s.wide) {
              const ops::Floats y = bench.poisoned_floats(n, s.rows);
              bench->project_wide(w.matrix, n, in, y);
              return bench.read(y, n * s.rows);
            }
            const ops::Values y = bench.poisoned_values(n, s.rows);
            bench->project(w.matrix, n, in, y);
            return bench.read(y, n * s.rows);
          },
          {2e-3, s.wide ? 1 : 0.05});
  }
}

TEST_F(SmallShapes, ProductsOfOneInputAndGroups) {
  constexpr int64_t kCols = 256;
  const RandomMatrix a = random_matrix(random_, Format::kFp8, 128, kCols);
  const RandomMatrix b = random_matrix(random_, Format::kFp8, 256, kCols);
  const RandomMatrix c = random_matrix(random_, Format::kBf16, 48, kCols);
  const std::vector<float> x = random_.values(kRows * kCols, 2);
  check("project_each FP8, FP8, BF16 wide",
        [&](OpBench& bench, int first, int n) {
          const ops::Values y_a = bench.poisoned_values(n, 128);
          const ops::Values y_b = bench.poisoned_values(n, 256);
          const ops::Floats y_c = bench.poisoned_floats(n, 48);
          const ops::Projection products[] = {{&a.matrix, y_a}, {&b.matrix, y_b}, {&c.matrix, y_c}};
          bench->project_each(products, n, bench.values(part(x, first, n, kCols), kCols), nullptr);
          const std::vector<float> parts[] = {bench.read(y_a, n * 128), bench.read(y_b, n * 256),
                                              bench.read(y_c, n * 48)};
          std::vector<float> out;
          for (int i = 0; i < n; ++i) {
            for (const std::vector<float>& all : parts) {
              const auto width = static_cast<std::ptrdiff_t>(all.size()) / n;
              out.insert(out.end(), all.begin() + i * width, all.begin() + (i + 1) * width);
            }
          }
          return out;
        },
        {2e-3, 0.2});
  constexpr int kGroups = 2;
  for (const Format format : {Format::kFp8, Format::kBf16}) {
    for (const int64_t cols : {128, 256}) {
      const RandomMatrix w = random_matrix(random_, format, kGroups * 128, cols);
      const std::vector<float> o = random_.values(kRows * kGroups * cols, 2);
      check(format == Format::kFp8 ? "project_groups FP8" : "project_groups BF16",
            [&](OpBench& bench, int first, int n) {
              const ops::Values u = bench.poisoned_values(n, kGroups * 128);
              bench->project_groups(w.matrix, kGroups, n,
                                    bench.values(part(o, first, n, kGroups * cols), kGroups * cols),
                                    u);
              return bench.read(u, n * kGroups * 128);
            },
            {2e-3, 0.05});
    }
  }
}

// A product that arranges its results for the next one: eight, four, two blocks or one make 128.
TEST_F(SmallShapes, ProductsInTurn) {
  constexpr int kGroups = 2;
  constexpr int64_t kBetween = kGroups * 128;
  const RandomMatrix second = random_matrix(random_, Format::kFp8, 128, kBetween);
  for (const int64_t cols : {128, 256, 512, 1024}) {
    const RandomMatrix first = random_matrix(random_, Format::kFp8, kBetween, cols);
    const std::vector<float> o = random_.values(kRows * kGroups * cols, 2);
    check("project_groups, project FP8",
          [&](OpBench& bench, int from, int n) {
            const ops::Values u = bench.poisoned_values(n, kBetween);
            const ops::Values y = bench.poisoned_values(n, 128);
            bench->project_groups(first.matrix, kGroups, n,
                                  bench.values(part(o, from, n, kGroups * cols), kGroups * cols),
                                  u);
            bench->project(second.matrix, n, u, y);
            return bench.read(y, n * 128);
          },
          {5e-3, 0.2});
  }
}

// 210 pairs of token and expert, and 420: lists by one thread each, and by warps.
TEST_F(SmallShapes, Experts) {
  constexpr int kExperts = 12;
  constexpr int64_t kDim = 256;
  constexpr int64_t kInter = 128;
  for (const Format format : {Format::kFp4, Format::kFp8, Format::kBf16}) {
    std::vector<RandomMatrix> keep;
    const auto expert = [&](Format of) {
      const auto make = [&](int64_t rows, int64_t cols) {
        keep.push_back(random_matrix(random_, of, rows, cols));
        return keep.back().matrix;
      };
      return weights::Expert{make(kInter, kDim), make(kDim, kInter), make(kInter, kDim)};
    };
    weights::Moe moe;
    for (int e = 0; e < kExperts; ++e) moe.experts.push_back(expert(format));
    moe.shared = expert(format == Format::kBf16 ? format : Format::kFp8);
    const std::vector<float> x = random_.values(kRows * kDim, 2);
    for (const int top : {3, 6}) {
      std::vector<int64_t> ids;
      for (int i = 0; i < kRows; ++i) {
        const auto start = static_cast<int64_t>(random_.next() % kExperts);
        for (int j = 0; j < top; ++j) ids.push_back((start + j) % kExperts);
      }
      std::vector<float> weight = random_.numbers(kRows * top, 1);
      for (float& w : weight) w = std::fabs(w);
      const auto ids_of = [&](OpBench& bench, int first, int n) {
        return bench.ids(
            std::span(ids).subspan(static_cast<size_t>(first * top), static_cast<size_t>(n * top)),
            top);
      };
      check("experts of 12, shared",
            [&](OpBench& bench, int first, int n) {
              const ops::Values y = bench.poisoned_values(n, kDim);
              bench->experts(moe, 10, top, n, bench.values(part(x, first, n, kDim), kDim),
                             ids_of(bench, first, n),
                             bench.floats(part(weight, first, n, top), top), y);
              return bench.read(y, n * kDim);
            },
            {1e-2, 0.1});
      check("expert norms",
            [&](OpBench& bench, int first, int n) {
              const ops::Floats norms = bench.poisoned_floats(n, top);
              bench->expert_norms(moe, 10, top, n, bench.values(part(x, first, n, kDim), kDim),
                                  ids_of(bench, first, n), norms);
              return bench.read(norms, n * top);
            },
            {1e-3, 1});
    }
  }
}

// A few tokens' experts have kernels of their own where nothing parts them from their router: equal
// scores, hash layers, an expert twice. Smaller matrices are cut along k, which these kernels leave
// to others, with more launches.
TEST_F(SmallShapes, ExpertsBehindTheirRouter) {
  constexpr int kExperts = 16;
  constexpr int kStreams = 4;
  constexpr int kTokens = 40;
  constexpr int64_t kDim = 3072;
  constexpr int64_t kCoefficients = kStreams * (kStreams + 2);
  std::vector<RandomMatrix> keep;
  const auto make = [&](Format format, int64_t rows, int64_t cols) {
    keep.push_back(random_matrix(random_, format, rows, cols));
    return keep.back().matrix;
  };
  const weights::HyperConnection hc{make(Format::kF32, kCoefficients, kStreams * kDim),
                                    random_.numbers(kCoefficients, 1), random_.numbers(3, 1)};
  const ops::MixSettings settings{kStreams, 20, 1e-6f, kEps};
  const std::vector<float> gain = random_.values(kDim, 2);
  const std::vector<float> h = random_.values(kRows * kStreams * kDim, 3);
  std::vector<int64_t> tokens;
  for (int i = 0; i < kRows; ++i) tokens.push_back(i * 7 % kTokens);
  struct Case {
    const char* name;
    int64_t inter;
    int top;
    bool hashed, alike;
  };
  int64_t by_others = 0;
  for (const Case& c : {Case{"2 of 16, of few hidden values", 128, 2, false, false},
                        {"6 of 16 by score", 1536, 6, false, false},
                        {"3 of 16, whose scores are all alike", 1536, 3, false, true},
                        {"5 of 16 by token, one of them twice", 1536, 5, true, false}}) {
    weights::Moe moe;
    for (int e = 0; e < kExperts; ++e) {
      moe.experts.push_back({make(Format::kFp4, c.inter, kDim), make(Format::kFp4, kDim, c.inter),
                             make(Format::kFp4, c.inter, kDim)});
    }
    moe.shared = {make(Format::kFp8, c.inter, kDim), make(Format::kFp8, kDim, c.inter),
                  make(Format::kFp8, c.inter, kDim)};
    moe.gate = make(Format::kBf16, kExperts, kDim);
    if (c.alike) std::ranges::fill(*keep.back().data, 0);
    if (c.hashed) {
      for (int i = 0; i < kTokens; ++i) {
        for (int j = 0; j < c.top; ++j) moe.tid2eid.push_back((i + 3 * j) % kExperts);
        moe.tid2eid.back() = moe.tid2eid[moe.tid2eid.size() - 2];
      }
    } else {
      moe.bias = c.alike ? std::vector<float>(kExperts, 0.5f) : random_.numbers(kExperts, 1);
    }
    const auto mixture = [&](OpBench& bench, int first, int n) {
      const ops::Values streams = bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
      const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
      const ops::Values x = bench.poisoned_values(n, kDim);
      const ops::Values y = bench.poisoned_values(n, kDim);
      const ops::Floats scores = bench.poisoned_floats(n, kExperts);
      const ops::Ids ids = bench.poisoned_ids(n, c.top);
      const ops::Floats route_weights = bench.poisoned_floats(n, c.top);
      const ops::Ids of_rows = bench.ids(
          std::span(tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(n)), 1);
      bench->mix_in(hc, settings, gain, n, streams, mix, x);
      bench->project_wide(moe.gate, n, x, scores);
      bench->route(moe, {c.top, true, 1.5f}, n, of_rows, scores, ids, route_weights);
      bench->experts(moe, 10, c.top, n, x, ids, route_weights, y);
      const std::vector<float> sums = bench.read(y, n * kDim);
      const std::vector<int64_t> chosen = bench.read_ids(ids, n * c.top);
      const std::vector<float> weight = bench.read(route_weights, n * c.top);
      std::vector<float> out;
      for (int i = 0; i < n; ++i) {
        out.insert(out.end(), sums.begin() + i * kDim, sums.begin() + (i + 1) * kDim);
        for (int j = i * c.top; j < (i + 1) * c.top; ++j) {
          const auto at = static_cast<size_t>(j);
          out.push_back(static_cast<float>(chosen[at]));
          out.push_back(weight[at]);
        }
      }
      return out;
    };
    check(c.name, mixture, {1e-2, 0.2});
    OpBench gpu(ops::make_cuda_backend(Precision::kReference));
    mixture(gpu, 0, 1);  // weights that are loaded on the way part the experts from their router
    const int64_t before = ops::cuda_kernel_launches();
    mixture(gpu, 0, 1);
    const int64_t launches = ops::cuda_kernel_launches() - before;
    if (c.inter < 1536) {
      by_others = launches;
    } else {
      EXPECT_LT(launches, by_others) << "the kernels of few tokens were not reached";
    }
  }
}

TEST_F(SmallShapes, ExpertsInF32AndEmbedding) {
  constexpr int kTop = 2;
  constexpr int64_t kDim = 96;
  constexpr int64_t kInter = 40;
  std::vector<RandomMatrix> keep;
  const auto make = [&](Format format, int64_t rows, int64_t cols) {
    keep.push_back(random_matrix(random_, format, rows, cols));
    return keep.back().matrix;
  };
  weights::Moe moe;
  for (int e = 0; e < 5; ++e) {
    moe.experts.push_back({make(Format::kFp4, kInter, kDim), make(Format::kFp4, kDim, kInter),
                           make(Format::kFp4, kInter, kDim)});
  }
  const std::vector<float> x = random_.values(kRows * kDim, 2);
  std::vector<int64_t> ids;
  for (int i = 0; i < kRows * kTop; ++i) ids.push_back(i * 3 % 5);
  check(
      "expert norms",
      [&](OpBench& bench, int first, int n) {
        const ops::Floats norms = bench.poisoned_floats(n, kTop);
        bench->expert_norms(moe, 10, kTop, n, bench.values(part(x, first, n, kDim), kDim),
                            bench.ids(std::span(ids).subspan(static_cast<size_t>(first * kTop),
                                                             static_cast<size_t>(n * kTop)),
                                      kTop),
                            norms);
        return bench.read(norms, n * kTop);
      },
      {1e-3, 1}, Precision::kF32);
  constexpr int kStreams = 4;
  const weights::Matrix table = make(Format::kBf16, 50, kDim);
  std::vector<int64_t> tokens;
  for (int i = 0; i < kRows; ++i) tokens.push_back(i * 7 % 50);
  for (const Precision precision : {Precision::kReference, Precision::kF32}) {
    check(
        "embed",
        [&](OpBench& bench, int first, int n) {
          const ops::Values h = bench.poisoned_values(n, kStreams * kDim);
          bench->embed(
              table, n,
              bench.ids(
                  std::span(tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(n)), 1),
              h);
          return bench.read(h, n * kStreams * kDim);
        },
        {0, 0}, precision);
  }
}

TEST_F(SmallShapes, HyperConnections) {
  constexpr int kStreams = 4;
  constexpr int64_t kDim = 512;
  constexpr int64_t kCoefficients = kStreams * (kStreams + 2);
  const RandomMatrix fn = random_matrix(random_, Format::kF32, kCoefficients, kStreams * kDim);
  const weights::HyperConnection hc{fn.matrix, random_.numbers(kCoefficients, 1),
                                    random_.numbers(3, 1)};
  const RandomMatrix head_fn = random_matrix(random_, Format::kF32, kStreams, kStreams * kDim);
  const weights::HeadMix head{head_fn.matrix, random_.numbers(kStreams, 1), random_.numbers(1, 1)};
  const ops::MixSettings settings{kStreams, 20, 1e-6f, kEps};
  const std::vector<float> gain = random_.values(kDim, 2);
  const std::vector<float> h = random_.values(kRows * kStreams * kDim, 3);
  const auto streams = [&](OpBench& bench, int first, int n) {
    return bench.values(part(h, first, n, kStreams * kDim), kStreams * kDim);
  };
  for (const Precision precision : {Precision::kReference, Precision::kF32}) {
    check(
        "mix_in, mix_out",
        [&](OpBench& bench, int first, int n) {
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values x = bench.poisoned_values(n, kDim);
          const ops::Values s = streams(bench, first, n);
          bench->mix_in(hc, settings, gain, n, s, mix, x);
          bench->mix_out(kStreams, n, x, mix, s);
          return bench.read(s, n * kStreams * kDim);
        },
        {2e-3, precision == Precision::kReference ? 0.05 : 1}, precision);
    check(
        "mix_in, mix_out, mix_in",
        [&](OpBench& bench, int first, int n) {
          const ops::Floats mix = bench.poisoned_floats(n, kCoefficients);
          const ops::Values x = bench.poisoned_values(n, kDim);
          const ops::Values s = streams(bench, first, n);
          bench->mix_in(hc, settings, gain, n, s, mix, x);
          bench->mix_out(kStreams, n, x, mix, s);
          bench->mix_in(hc, settings, gain, n, s, mix, x);
          return bench.read(x, n * kDim);
        },
        {5e-3, precision == Precision::kReference ? 0.1 : 1}, precision);
    check(
        "mix_head",
        [&](OpBench& bench, int first, int n) {
          const ops::Values x = bench.poisoned_values(n, kDim);
          bench->mix_head(head, settings, gain, n, streams(bench, first, n), x);
          return bench.read(x, n * kDim);
        },
        {2e-3, precision == Precision::kReference ? 0.05 : 1}, precision);
  }
}

// Full windows of a multiple of 64 rows: pairs of queries share what lies behind them.
TEST_F(SmallShapes, Attention) {
  const AttentionCase small{
      .heads = 5, .dim = 64, .rope = 16, .window = 64, .format = ops::RowFormat::kFp8};
  const auto with = [&](AttentionCase c, const char* name, int ratio, int top, int64_t first) {
    c.name = name;
    c.ratio = ratio;
    c.top = top;
    c.first = first;
    check_attention(random_, c);
    c.finishes = true;
    check_attention(random_, c);
  };
  with(small, "attend, window only", 0, 0, 5);
  with(small, "attend, 16 selected", 4, 16, 200);
  with(small, "attend, all, shared by pairs", 8, 0, 600);
  AttentionCase wide = small;
  wide.heads = 70;
  wide.dim = 136;
  wide.format = ops::RowFormat::kBf16;
  with(wide, "attend, all, shared by pairs, BF16", 8, 0, 601);
  AttentionCase odd = small;
  odd.dim = 34;
  odd.rope = 10;
  odd.window = 17;
  odd.format = ops::RowFormat::kBf16;
  with(odd, "attend, odd", 6, 0, 300);
}

TEST_F(SmallShapes, Selection) {
  constexpr int kTop = 16;
  constexpr int kRatio = 4;
  constexpr int64_t kFirst = 1100;
  constexpr int64_t kKeys = (kFirst + kRows) / kRatio + 1;
  struct Shape {
    int dim, heads;
    Precision precision;
  };
  using enum Precision;
  for (const auto& [dim, heads, precision] :
       {Shape{32, 3, kReference}, Shape{32, 8, kReference}, Shape{64, 8, kReference},
        Shape{128, 8, kReference}, Shape{64, 8, kF32}}) {
    const ops::RowFormat format =
        precision == kReference ? ops::RowFormat::kFp4 : ops::RowFormat::kF32;
    const std::vector<float> iq = random_.values(kRows * heads * dim, 3);
    const std::vector<float> projected = random_.values(kRows * heads, 2);
    const std::vector<float> keys = random_.values(kKeys * dim, 2);
    check(
        "select_rows",
        [&](OpBench& bench, int first, int n) {
          const ops::RowStore store = bench.poisoned_rows({format, dim, 16}, kKeys);
          for (int64_t i = 0; i < kKeys; ++i) bench.write_row(store, i, keys.data() + i * dim);
          const ops::Ids selected = bench.poisoned_ids(n, kTop);
          const ops::Segment segment{0, {kFirst + first, n}};
          bench->select_rows(heads, kRatio, {&segment, 1},
                             bench.values(part(iq, first, n, heads * dim), heads * dim),
                             bench.values(part(projected, first, n, heads), heads), {&store, 1},
                             selected);
          const std::vector<int64_t> ids = bench.read_ids(selected, n * kTop);
          return std::vector<float>(ids.begin(), ids.end());
        },
        {0.05, 0.1}, precision);
  }
}

}  // namespace
}  // namespace ds4::golden
