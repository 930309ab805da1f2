// Hyper-connections, routing and experts against the golden vectors.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/engine/case_inputs.h"
#include "tests/unit/engine/golden_case.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {

TEST(OpsGolden, HyperConnectionCoefficients) {
  for_each_case("hc_mix", [](const Case& c) {
    OpBench bench;
    const auto n = static_cast<int>(c.shape("h")[0]);
    const int64_t m = c.shape("h")[1];
    const int64_t d = c.shape("h")[2];
    const std::vector<float> fn = c.floats("fn");
    const int64_t coefficients = m * (m + 2);
    const weights::HyperConnection hc{f32_matrix(fn, coefficients, m * d), c.floats("base"),
                                      c.floats("scale")};
    const ops::Floats mix = bench.poisoned_floats(n, coefficients);
    const std::vector<float> gain(static_cast<size_t>(d), 1.0f);
    bench->mix_in(hc, settings_of(c, c.integer("iterations")), gain, n,
                  bench.values(c.floats("h"), m * d), mix, bench.poisoned_values(n, d));
    const std::vector<float> got = bench.read(mix, n * coefficients);
    std::vector<float> pre, post, comb;
    for (auto row = got.begin(); row != got.end(); row += coefficients) {
      pre.insert(pre.end(), row, row + m);
      post.insert(post.end(), row + m, row + 2 * m);
      comb.insert(comb.end(), row + 2 * m, row + coefficients);
    }
    c.check("pre", pre);
    c.check("post", post);
    c.check("comb", comb);
  });
}

TEST(OpsGolden, StreamsAreUpdated) {
  for_each_case("hc_expand", [](const Case& c) {
    OpBench bench;
    const auto n = static_cast<int>(c.shape("h")[0]);
    const int64_t m = c.shape("h")[1];
    const int64_t d = c.shape("h")[2];
    const auto post = c.floats("post");
    const auto comb = c.floats("comb");
    std::vector<float> mix;
    for (int64_t t = 0; t < n; ++t) {
      mix.insert(mix.end(), static_cast<size_t>(m), NAN);  // pre is not read
      mix.insert(mix.end(), post.begin() + t * m, post.begin() + (t + 1) * m);
      mix.insert(mix.end(), comb.begin() + t * m * m, comb.begin() + (t + 1) * m * m);
    }
    const ops::Values h = bench.values(c.floats("h"), m * d);
    bench->mix_out(static_cast<int>(m), n, bench.values(c.floats("y"), d),
                   bench.floats(mix, m * (m + 2)), h);
    c.check("out", bench.read(h, n * m * d));
  });
}

// A layer's router needs no weights beyond its table or bias once the logits are there.
struct Routed {
  std::vector<float> scores, weights;
  std::vector<int64_t> ids;
};
Routed route(const Case& c, weights::Moe& moe, int k, std::span<const int64_t> tokens) {
  OpBench bench;
  const auto n = static_cast<int>(c.shape("logits")[0]);
  const int64_t n_experts = c.shape("logits")[1];
  moe.experts.resize(static_cast<size_t>(n_experts));
  const ops::Floats logits = bench.floats(c.floats("logits"), n_experts);
  const ops::Ids ids = bench.poisoned_ids(n, k);
  const ops::Floats weight = bench.poisoned_floats(n, k);
  bench->route(moe, {k, true, static_cast<float>(c.number("routed_scaling_factor"))}, n,
               bench.ids(tokens, 1), logits, ids, weight);
  return {bench.read(logits, n * n_experts), bench.read(weight, n * k), bench.read_ids(ids, n * k)};
}

TEST(OpsGolden, RouteByScore) {
  for_each_case("route_score", [](const Case& c) {
    weights::Moe moe;
    moe.bias = c.floats("bias");
    const std::vector<int64_t> tokens(static_cast<size_t>(c.shape("logits")[0]), 0);
    const Routed got = route(c, moe, c.integer("k"), tokens);
    c.check("scores", got.scores);
    EXPECT_EQ(got.ids, c.output_integers("ids"));
    c.check("weights", got.weights);
  });
}

TEST(OpsGolden, RouteByToken) {
  for_each_case("route_hash", [](const Case& c) {
    weights::Moe moe;
    const auto table = c.integers("tid2eid");
    moe.tid2eid.assign(table.begin(), table.end());
    const Routed got = route(c, moe, static_cast<int>(c.shape("tid2eid")[1]), c.integers("tokens"));
    EXPECT_EQ(got.ids, c.output_integers("ids"));
    c.check("weights", got.weights);
  });
}

weights::Expert expert_of(const Case& c, const std::string& prefix) {
  return {c.matrix(prefix + "w1."), c.matrix(prefix + "w2."), c.matrix(prefix + "w3.")};
}

TEST(OpsGolden, OneExpert) {
  for_each_case("expert", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      weights::Moe moe;
      moe.experts.push_back(expert_of(c, ""));
      // A shared expert of zeros leaves the routed one alone.
      const int64_t d = moe.experts[0].w1.cols;
      const std::vector<float> zeros(static_cast<size_t>(4 * d), 0.0f);
      moe.shared = {f32_matrix(zeros, 4, d), f32_matrix(zeros, d, 4), f32_matrix(zeros, 4, d)};
      const auto n = static_cast<int>(c.shape("x")[0]);
      const std::vector<int64_t> ids(static_cast<size_t>(n), 0);
      const ops::Values y = bench.poisoned_values(n, d);
      bench->experts(moe, static_cast<float>(c.number("limit")), 1, n,
                     bench.values(c.floats("x"), d), bench.ids(ids, 1),
                     bench.floats(c.floats("weight"), 1), y);
      c.check(role, bench.read(y, n * d));
    }
  });
}

TEST(OpsGolden, MixtureOfExperts) {
  for_each_case("moe", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      weights::Moe moe;
      for (int e = 0; c.has_input("experts." + std::to_string(e) + ".w1.weight"); ++e) {
        moe.experts.push_back(expert_of(c, "experts." + std::to_string(e) + "."));
      }
      moe.shared = expert_of(c, "shared_experts.");
      const auto n = static_cast<int>(c.shape("x")[0]);
      const int64_t d = c.shape("x")[1];
      const int64_t k = c.shape("ids")[1];
      const ops::Values y = bench.poisoned_values(n, d);
      bench->experts(moe, static_cast<float>(c.number("limit")), static_cast<int>(k), n,
                     bench.values(c.floats("x"), d), bench.ids(c.integers("ids"), k),
                     bench.floats(c.floats("weights"), k), y);
      c.check(role, bench.read(y, n * d));
    }
  });
}

}  // namespace
}  // namespace ds4::golden
