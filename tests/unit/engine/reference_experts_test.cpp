// Routing, experts and drafting against float64 at the shapes of the 160-expert model and at odd
// ones.
#include <gtest/gtest.h>

#include <numeric>

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

class Float64Experts : public ::testing::Test {
 protected:
  std::vector<float> rows(int64_t cols, float range) {
    return random_.values(kManyRows * cols, range);
  }
  weights::Expert expert(Format format, int64_t inter, int64_t d) {
    const auto make = [&](int64_t r, int64_t c) {
      keep_.push_back(random_matrix(random_, format, r, c));
      return keep_.back().matrix;
    };
    return {make(inter, d), make(d, inter), make(inter, d)};
  }

  Random random_{29};
  std::vector<RandomMatrix> keep_;
};

// What each expert counts for each token, whatever the order of the ids; an id outside spoils all.
std::vector<float> spread(const std::vector<int64_t>& ids, const std::vector<float>& weights,
                          int per_token, int experts) {
  const auto n = static_cast<int64_t>(ids.size()) / per_token;
  std::vector<float> out(static_cast<size_t>(n * experts));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= experts) return std::vector<float>(out.size(), NAN);
    const int64_t row = static_cast<int64_t>(i) / per_token;
    out[static_cast<size_t>(row * experts + ids[i])] += weights[i];
  }
  return out;
}

TEST_F(Float64Experts, Routing) {
  struct Kind {
    int experts, per_token;
    bool hashed;
  };
  for (const Kind& kind : {Kind{160, 6, false}, {160, 6, true}, {256, 6, false}, {7, 3, false}}) {
    constexpr int kVocab = 50;
    weights::Moe router;
    router.experts.resize(static_cast<size_t>(kind.experts));
    if (kind.hashed) {
      for (int i = 0; i < kVocab * kind.per_token; ++i) {
        router.tid2eid.push_back(
            static_cast<int32_t>(random_.next() % static_cast<uint64_t>(kind.experts)));
      }
      router.tid2eid[1] = router.tid2eid[0];  // one expert twice
    } else {
      router.bias = random_.numbers(kind.experts, 1);
    }
    std::vector<int64_t> tokens;
    for (int i = 0; i < kManyRows; ++i) tokens.push_back(i % kVocab);
    const std::vector<float> logits = random_.numbers(kManyRows * int64_t{kind.experts}, 25);
    const ops::RouteSettings settings{kind.per_token, true, 1.5f};
    check(std::string(kind.hashed ? "route by token " : "route ") + std::to_string(kind.per_token) +
              " of " + std::to_string(kind.experts),
          [&](OpBench& bench, int n) {
            const ops::Ids ids = bench.poisoned_ids(n, kind.per_token);
            const ops::Floats weights = bench.poisoned_floats(n, kind.per_token);
            bench->route(
                router, settings, n, bench.ids(std::span(tokens).first(static_cast<size_t>(n)), 1),
                bench.floats(first_rows(logits, n, kind.experts), kind.experts), ids, weights);
            return spread(bench.read_ids(ids, n * kind.per_token),
                          bench.read(weights, n * kind.per_token), kind.per_token, kind.experts);
          },
          each_row([&](const Arithmetic& a, int i) {
            std::vector<int> fixed;
            if (kind.hashed) {
              const auto at =
                  router.tid2eid.begin() + tokens[static_cast<size_t>(i)] * kind.per_token;
              fixed.assign(at, at + kind.per_token);
            }
            const Route chosen =
                route(a, settings, row_of(logits, kind.experts, i), router.bias, fixed);
            Row out(static_cast<size_t>(kind.experts));
            for (size_t j = 0; j < chosen.ids.size(); ++j) {
              out[static_cast<size_t>(chosen.ids[j])] += chosen.weights[j];
            }
            return out;
          }),
          {1e-6, 0.5, 1e-6});
  }
}

TEST_F(Float64Experts, Experts) {
  struct Shape {
    const char* name;
    int experts, per_token;
    int64_t inter, d;
    float range;  // of x; brings gates and ups beyond the limit
  };
  for (const Shape& s : {Shape{"6 of 12, 4096 x 2048", 12, 6, 2048, 4096, 60},
                         {"2 of 5, odd, 96 x 40", 5, 2, 40, 96, 400}}) {
    weights::Moe moe;
    for (int e = 0; e < s.experts; ++e) moe.experts.push_back(expert(Format::kFp4, s.inter, s.d));
    moe.shared = expert(Format::kFp8, s.inter, s.d);
    const std::vector<float> x = rows(s.d, s.range);
    std::vector<int64_t> ids;
    for (int i = 0; i < kManyRows; ++i) {
      const auto start = static_cast<int64_t>(random_.next() % static_cast<uint64_t>(s.experts));
      for (int j = 0; j < s.per_token; ++j) ids.push_back((start + j) % s.experts);
      if (i == 1) ids.back() = ids[ids.size() - 2];  // one twice
    }
    std::vector<float> weights = random_.numbers(kManyRows * int64_t{s.per_token}, 1);
    for (float& w : weights) w = std::fabs(w);
    const auto ids_of = [&](OpBench& bench, int n) {
      return bench.ids(std::span(ids).first(static_cast<size_t>(n * s.per_token)), s.per_token);
    };
    const auto row_ids = [&](int i) {
      const auto at = ids.begin() + i * s.per_token;
      return std::vector<int>(at, at + s.per_token);
    };
    const std::string name = s.name;
    // The reference takes its time: one row each of a small and of a large batch.
    const auto compare = [&](const std::string& what, const Operation& operation,
                             const std::function<Row(const Arithmetic&, int)>& truth,
                             const Bounds& bounds, const std::vector<int>& few) {
      for (const Precision precision : {Precision::kReference, Precision::kF32}) {
        for (const int row : few) {
          const Row want = truth({precision == Precision::kReference}, row);
          OpBench bench(precision);
          const std::vector<float> all = operation(bench, row + 1);
          expect_close(what + ", " + std::to_string(row + 1) + " rows", precision,
                       row_of(all, static_cast<int64_t>(want.size()), row), want, bounds);
        }
      }
    };
    compare(
        "experts " + name,
        [&](OpBench& bench, int n) {
          const ops::Values y = bench.poisoned_values(n, s.d);
          bench->experts(moe, 10, s.per_token, n, bench.values(first_rows(x, n, s.d), s.d),
                         ids_of(bench, n),
                         bench.floats(first_rows(weights, n, s.per_token), s.per_token), y);
          return bench.read(y, n * s.d);
        },
        [&](const Arithmetic& a, int i) {
          return experts(a, moe, 10, row_ids(i), row_of(weights, s.per_token, i),
                         row_of(x, s.d, i));
        },
        {5e-3, 0.05, 2e-6}, {1, kManyRows - 1});
    compare(
        "expert_norms " + name,
        [&](OpBench& bench, int n) {
          const ops::Floats norms = bench.poisoned_floats(n, s.per_token);
          bench->expert_norms(moe, 10, s.per_token, n, bench.values(first_rows(x, n, s.d), s.d),
                              ids_of(bench, n), norms);
          return bench.read(norms, n * s.per_token);
        },
        [&](const Arithmetic& a, int i) {
          Row norms;
          for (const int id : row_ids(i)) {
            const Row y = reference::expert(a, moe.experts[static_cast<size_t>(id)], 10, 1,
                                            row_of(x, s.d, i));
            norms.push_back(std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0)));
          }
          return norms;
        },
        {1e-4, 1, 2e-6}, {kManyRows - 1});
  }
}

TEST_F(Float64Experts, Drafting) {
  for (const auto& [d, streams] : {std::pair<int64_t, int>{4096, 4}, {160, 3}}) {
    const std::string shape = " " + std::to_string(streams) + " x " + std::to_string(d);
    const RandomMatrix e_proj = random_matrix(random_, Format::kFp8, d, d);
    const RandomMatrix h_proj = random_matrix(random_, Format::kFp8, d, d);
    weights::ClassicMtp mtp;
    mtp.e_proj = e_proj.matrix;
    mtp.h_proj = h_proj.matrix;
    mtp.enorm = random_.values(d, 2);
    mtp.hnorm = random_.values(d, 2);
    const std::vector<float> e = rows(d, 2);
    const std::vector<float> h = rows(d * streams, 2);
    check(
        "mtp_input" + shape,
        [&](OpBench& bench, int n) {
          const ops::Values out = bench.values(first_rows(h, n, d * streams), d * streams);
          bench->mtp_input(mtp, kEps, n, bench.values(first_rows(e, n, d), d), out);
          return bench.read(out, n * d * streams);
        },
        [&](const Arithmetic& a, std::span<const int> chosen) {
          Rows embedded, states;
          for (const int i : chosen) {
            embedded.push_back(row_of(e, d, i));
            states.push_back(row_of(h, d * streams, i));
          }
          return mtp_input(a, mtp, kEps, embedded, states);
        },
        {3e-3, 0.02, 2e-6});
  }
  for (const auto& [vocab, rank] : {std::pair<int64_t, int64_t>{129280, 256}, {777, 33}}) {
    const RandomMatrix w1 = random_matrix(random_, Format::kBf16, vocab, rank);
    const RandomMatrix w2 = random_matrix(random_, Format::kBf16, vocab, rank);
    const std::vector<float> logits = random_.numbers(2 * vocab, 3);
    for (const Precision precision : {Precision::kReference, Precision::kF32}) {
      OpBench bench(precision);
      const ops::Floats out = bench.floats(logits, vocab);
      const TokenId previous = 500;
      bench->add_markov_bias(w1.matrix, w2.matrix, previous, 1, out);
      const Arithmetic a{precision == Precision::kReference};
      Row want = widen(logits);
      const Row bias = product(a, w2.matrix, {matrix_row(w1.matrix, previous)}, false)[0];
      for (size_t i = 0; i < bias.size(); ++i) {
        want[static_cast<size_t>(vocab) + i] += bias[i];
      }
      expect_close("add_markov_bias " + std::to_string(vocab) + " x " + std::to_string(rank),
                   precision, widen(bench.read(out, 2 * vocab)), want, {1e-6, 1, 1e-6});
    }
  }
}

}  // namespace
}  // namespace ds4::reference
