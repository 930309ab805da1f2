// Operations on single tokens against float64 at the shapes of the 160-expert model and at odd
// ones: embedding, norms, products, hyper-connections, routing, experts, head, drafting.
#include <gtest/gtest.h>

#include "tests/support/random_data.h"
#include "tests/unit/engine/reference/check.h"

namespace ds4::reference {
namespace {
using golden::OpBench;
using test_support::Random;
using test_support::random_matrix;
using test_support::RandomMatrix;
using Format = weights::Matrix::Format;

constexpr float kEps = 1e-6f;

class Float64Layers : public ::testing::Test {
 protected:
  std::vector<float> rows(int64_t cols, float range) {
    return random_.values(kManyRows * cols, range);
  }

  Random random_{23};
};

TEST_F(Float64Layers, Projections) {
  struct Shape {
    const char* name;
    Format format;
    int64_t rows, cols;
  };
  for (const Shape& s : {Shape{"project wq_a FP8 [1024, 4096]", Format::kFp8, 1024, 4096},
                         {"project wq_b FP8 [32768, 1024]", Format::kFp8, 32768, 1024},
                         {"project wkv FP8 [512, 4096]", Format::kFp8, 512, 4096},
                         {"project wo_b FP8 [4096, 8192]", Format::kFp8, 4096, 8192},
                         {"project w1 FP4 [2048, 4096]", Format::kFp4, 2048, 4096},
                         {"project BF16 [64, 4096]", Format::kBf16, 64, 4096},
                         {"project odd FP8 [131, 200]", Format::kFp8, 131, 200},
                         {"project odd FP4 [67, 100]", Format::kFp4, 67, 100},
                         {"project odd BF16 [33, 77]", Format::kBf16, 33, 77}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const std::vector<float> x = rows(s.cols, 2);
    check(
        s.name,
        [&](OpBench& bench, int n) {
          const ops::Values y = bench.poisoned_values(n, s.rows);
          bench->project(w.matrix, n, bench.values(first_rows(x, n, s.cols), s.cols), y);
          return bench.read(y, n * s.rows);
        },
        [&](const Arithmetic& a, std::span<const int> chosen) {
          Rows in;
          for (const int i : chosen) in.push_back(row_of(x, s.cols, i));
          return linear(a, w.matrix, in);
        });
  }
}

// Several matrices on one x, as attention has them: against float64, and to the bit as each alone.
TEST_F(Float64Layers, ProjectionsOfOneInput) {
  struct Shape {
    Format format;
    int64_t rows;
    bool wide;
  };
  struct Set {
    const char* name;
    int64_t cols;
    std::vector<Shape> shapes;
  };
  using enum Format;
  for (const Set& set :
       {Set{"wq_a, wkv, compressors, weights",
            4096,
            {{kFp8, 1024, false},
             {kFp8, 512, false},
             {kBf16, 1024, true},
             {kBf16, 1024, true},
             {kBf16, 256, true},
             {kBf16, 256, true},
             {kBf16, 64, false}}},
        {"wq_b, indexer wq_b", 1024, {{kFp8, 32768, false}, {kFp8, 8192, false}}},
        {"odd",
         200,
         {{kFp8, 131, false}, {kBf16, 33, true}, {kFp4, 67, false}, {kF32, 12, true}}}}) {
    std::vector<RandomMatrix> w;
    int64_t width = 0;
    for (const Shape& s : set.shapes) {
      w.push_back(random_matrix(random_, s.format, s.rows, set.cols));
      width += s.rows;
    }
    const std::vector<float> x = rows(set.cols, 2);
    const auto run = [&](OpBench& bench, int n, bool together) {
      const ops::Values in = bench.values(first_rows(x, n, set.cols), set.cols);
      std::vector<ops::Projection> products;
      for (size_t i = 0; i < w.size(); ++i) {
        const int64_t cols = set.shapes[i].rows;
        if (set.shapes[i].wide) {
          products.push_back({&w[i].matrix, bench.poisoned_floats(n, cols)});
        } else {
          products.push_back({&w[i].matrix, bench.poisoned_values(n, cols)});
        }
      }
      if (together) {
        bench->project_each(products, n, in, nullptr);
      } else {
        for (const ops::Projection& product : products)
          bench->project_each({&product, 1}, n, in, nullptr);
      }
      std::vector<std::vector<float>> parts;
      for (const ops::Projection& product : products) {
        parts.push_back(std::visit(
            [&](const auto& y) { return bench.read(y, n * product.w->rows); }, product.y));
      }
      std::vector<float> out;  // results of a row side by side
      for (int i = 0; i < n; ++i) {
        for (size_t p = 0; p < parts.size(); ++p) {
          const auto at = parts[p].begin() + i * set.shapes[p].rows;
          out.insert(out.end(), at, at + set.shapes[p].rows);
        }
      }
      return out;
    };
    check(
        std::string("project_each ") + set.name,
        [&](OpBench& bench, int n) { return run(bench, n, true); },
        [&](const Arithmetic& a, std::span<const int> chosen) {
          Rows in, out(chosen.size());
          for (const int i : chosen) in.push_back(row_of(x, set.cols, i));
          for (size_t p = 0; p < w.size(); ++p) {
            const Rows y = set.shapes[p].wide ? product(a, w[p].matrix, in, false)
                                              : linear(a, w[p].matrix, in);
            for (size_t i = 0; i < out.size(); ++i) {
              out[i].insert(out[i].end(), y[i].begin(), y[i].end());
            }
          }
          return out;
        },
        {1e-3, 1});
    for (const int n : {1, 2, 4, 8, 9, kManyRows}) {
      OpBench bench;
      EXPECT_EQ(run(bench, n, true), run(bench, n, false)) << set.name << ", " << n << " rows";
    }
  }
}

TEST_F(Float64Layers, WideProjections) {
  struct Shape {
    const char* name;
    Format format;
    int64_t rows, cols;
  };
  for (const Shape& s :
       {Shape{"project_wide compressor BF16 [1024, 4096]", Format::kBf16, 1024, 4096},
        {"project_wide router BF16 [160, 4096]", Format::kBf16, 160, 4096},
        {"project_wide head BF16 [4096, 4096]", Format::kBf16, 4096, 4096},
        {"project_wide F32 [24, 16384]", Format::kF32, 24, 16384},
        {"project_wide odd BF16 [31, 333]", Format::kBf16, 31, 333}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const std::vector<float> x = rows(s.cols, 2);
    check(
        s.name,
        [&](OpBench& bench, int n) {
          const ops::Floats y = bench.poisoned_floats(n, s.rows);
          bench->project_wide(w.matrix, n, bench.values(first_rows(x, n, s.cols), s.cols), y);
          return bench.read(y, n * s.rows);
        },
        [&](const Arithmetic& a, std::span<const int> chosen) {
          Rows in;
          for (const int i : chosen) in.push_back(row_of(x, s.cols, i));
          return product(a, w.matrix, in, false);
        },
        {2e-6, 1});
  }
}

TEST_F(Float64Layers, GroupedProjection) {
  struct Shape {
    const char* name;
    Format format;
    int groups;
    int64_t rows, cols;
  };
  for (const Shape& s : {Shape{"project_groups FP8 8 x [1024, 4096]", Format::kFp8, 8, 8192, 4096},
                         {"project_groups BF16 8 x [1024, 4096]", Format::kBf16, 8, 8192, 4096},
                         {"project_groups odd FP8 3 x [5, 72]", Format::kFp8, 3, 15, 72}}) {
    const RandomMatrix w = random_matrix(random_, s.format, s.rows, s.cols);
    const int64_t cols = s.groups * s.cols;
    const int64_t rank = s.rows / s.groups;
    const std::vector<float> x = rows(cols, 2);
    check(
        s.name,
        [&](OpBench& bench, int n) {
          const ops::Values u = bench.poisoned_values(n, s.rows);
          bench->project_groups(w.matrix, s.groups, n, bench.values(first_rows(x, n, cols), cols),
                                u);
          return bench.read(u, n * s.rows);
        },
        [&](const Arithmetic& a, std::span<const int> chosen) {
          Rows out(chosen.size());
          for (int g = 0; g < s.groups; ++g) {
            Rows in;
            for (const int i : chosen) {
              const Row all = row_of(x, cols, i);
              in.emplace_back(all.begin() + g * s.cols, all.begin() + (g + 1) * s.cols);
            }
            const Rows part = product(a, w.matrix, in, false, g * rank, rank);
            for (size_t i = 0; i < out.size(); ++i) {
              const Row rounded = a.bf(part[i]);
              out[i].insert(out[i].end(), rounded.begin(), rounded.end());
            }
          }
          return out;
        });
  }
}

TEST_F(Float64Layers, EmbeddingNormsAndMeans) {
  for (const auto& [d, streams] : {std::pair<int64_t, int>{4096, 4}, {1024, 1}, {97, 3}}) {
    const std::string shape = " " + std::to_string(streams) + " x " + std::to_string(d);
    const RandomMatrix table = random_matrix(random_, Format::kBf16, 300, d);
    std::vector<int64_t> tokens;
    for (int i = 0; i < kManyRows; ++i)
      tokens.push_back(static_cast<int64_t>(random_.next() % 300));
    const int64_t wide = d * streams;
    check("embed" + shape,
          [&](OpBench& bench, int n) {
            const ops::Values h = bench.poisoned_values(n, wide);
            bench->embed(table.matrix, n,
                         bench.ids(std::span(tokens).first(static_cast<size_t>(n)), 1), h);
            return bench.read(h, n * wide);
          },
          each_row([&](const Arithmetic&, int i) {
            const Row e = matrix_row(table.matrix, tokens[static_cast<size_t>(i)]);
            Row h;
            for (int s = 0; s < streams; ++s) h.insert(h.end(), e.begin(), e.end());
            return h;
          }),
          {0, 0, 0});
    const std::vector<float> gain = random_.values(d, 2);
    const std::vector<float> x = rows(d, 3);
    check(
        "rms_norm" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values y = bench.poisoned_values(n, d);
          bench->rms_norm(gain, kEps, n, bench.values(first_rows(x, n, d), d), y);
          return bench.read(y, n * d);
        },
        each_row([&](const Arithmetic& a, int i) { return rms(a, row_of(x, d, i), gain, kEps); }));
    const std::vector<float> h = rows(wide, 3);
    check("mean_streams" + shape,
          [&](OpBench& bench, int n) {
            const ops::Values mean = bench.poisoned_values(n, d);
            bench->mean_streams(streams, n, bench.values(first_rows(h, n, wide), wide), 0, mean);
            return bench.read(mean, n * d);
          },
          each_row([&](const Arithmetic& a, int i) {
            return mean_streams(a, streams, row_of(h, wide, i));
          }),
          {2e-3, 0.05});
  }
}

TEST_F(Float64Layers, HyperConnections) {
  for (const auto& [d, streams] : {std::pair<int64_t, int>{4096, 4}, {99, 3}}) {
    const std::string shape = " " + std::to_string(streams) + " x " + std::to_string(d);
    const int64_t wide = d * streams;
    const int64_t coefficients = int64_t{streams} * (streams + 2);
    const RandomMatrix fn = random_matrix(random_, Format::kF32, coefficients, wide);
    const weights::HyperConnection hc{fn.matrix, random_.numbers(coefficients, 1),
                                      random_.numbers(3, 1)};
    const RandomMatrix head_fn = random_matrix(random_, Format::kF32, streams, wide);
    const weights::HeadMix head{head_fn.matrix, random_.numbers(streams, 1), random_.numbers(1, 1)};
    const ops::MixSettings settings{streams, 20, 1e-6f, kEps};
    const std::vector<float> gain = random_.values(d, 2);
    const std::vector<float> h = rows(wide, 3);
    const std::vector<float> y = rows(d, 3);
    check("mix_in: coefficients" + shape,
          [&](OpBench& bench, int n) {
            const ops::Floats mix = bench.poisoned_floats(n, coefficients);
            bench->mix_in(hc, settings, gain, n, bench.values(first_rows(h, n, wide), wide), mix,
                          bench.poisoned_values(n, d));
            return bench.read(mix, n * coefficients);
          },
          each_row([&](const Arithmetic& a, int i) {
            return mix_coefficients(a, hc, settings, row_of(h, wide, i));
          }),
          {2e-6, 1});
    check(
        "mix_in: x" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values x = bench.poisoned_values(n, d);
          bench->mix_in(hc, settings, gain, n, bench.values(first_rows(h, n, wide), wide),
                        bench.poisoned_floats(n, coefficients), x);
          return bench.read(x, n * d);
        },
        each_row([&](const Arithmetic& a, int i) {
          const Row streams_i = row_of(h, wide, i);
          const Row mix = mix_coefficients(a, hc, settings, streams_i);
          return rms(
              a, reduce_streams(a, std::span(mix).first(static_cast<size_t>(streams)), streams_i),
              gain, kEps);
        }));
    check(
        "mix_out" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values out = bench.values(first_rows(h, n, wide), wide);
          const ops::Floats mix = bench.poisoned_floats(n, coefficients);
          bench->mix_in(hc, settings, gain, n, out, mix, bench.poisoned_values(n, d));
          bench->mix_out(streams, n, bench.values(first_rows(y, n, d), d), mix, out);
          return bench.read(out, n * wide);
        },
        each_row([&](const Arithmetic& a, int i) {
          const Row streams_i = row_of(h, wide, i);
          return mix_out(a, streams, row_of(y, d, i), mix_coefficients(a, hc, settings, streams_i),
                         streams_i);
        }));
    check(
        "mix_head" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values x = bench.poisoned_values(n, d);
          bench->mix_head(head, settings, gain, n, bench.values(first_rows(h, n, wide), wide), x);
          return bench.read(x, n * d);
        },
        each_row([&](const Arithmetic& a, int i) {
          const Row streams_i = row_of(h, wide, i);
          return rms(a,
                     reduce_streams(a, head_coefficients(a, head, settings, streams_i), streams_i),
                     gain, kEps);
        }));
  }
}

}  // namespace
}  // namespace ds4::reference
