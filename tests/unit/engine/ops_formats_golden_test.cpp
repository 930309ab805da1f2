// Norms, projections and rotation frequencies against the golden vectors.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops/rope.h"
#include "tests/unit/engine/golden_case.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {

TEST(OpsGolden, RmsNorm) {
  for_each_case("rms", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const auto n = static_cast<int>(c.shape("x")[0]);
      const int64_t cols = c.shape("x")[1];
      const ops::Values y = bench.poisoned_values(n, cols);
      bench->rms_norm(c.floats("gain"), static_cast<float>(c.number("eps")), n,
                      bench.values(c.floats("x"), cols), y);
      c.check(role, bench.read(y, n * cols));
    }
  });
}

TEST(OpsGolden, QueryHeadNorm) {
  for_each_case("q_head_norm", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const auto n = static_cast<int>(c.shape("q")[0]);
      const int64_t heads = c.shape("q")[1];
      const int64_t cols = heads * c.shape("q")[2];
      const ops::Values q = bench.values(c.floats("q"), cols);
      // A rotation of no dims leaves the norm alone.
      bench->finish_queries(static_cast<int>(heads), static_cast<float>(c.number("eps")), n,
                            bench.floats({}, 0), q);
      c.check(role, bench.read(q, n * cols));
    }
  });
}

class LinearGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(LinearGolden, Project) {
  for_each_case(GetParam(), [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const weights::Matrix w = c.matrix();
      const auto n = static_cast<int>(c.shape("x")[0]);
      const ops::Values y = bench.poisoned_values(n, w.rows);
      bench->project(w, n, bench.values(c.floats("x"), w.cols), y);
      c.check(role, bench.read(y, n * w.rows));
    }
  });
}
INSTANTIATE_TEST_SUITE_P(Formats, LinearGolden,
                         ::testing::Values("linear_fp8", "linear_fp4", "linear_bf16"));

TEST(OpsGolden, ProjectWide) {
  for_each_case("linear_wide", [](const Case& c) {
    OpBench bench;
    const weights::Matrix w = c.matrix();
    const auto n = static_cast<int>(c.shape("x")[0]);
    const ops::Floats y = bench.poisoned_floats(n, w.rows);
    bench->project_wide(w, n, bench.values(c.floats("x"), w.cols), y);
    c.check("y", bench.read(y, n * w.rows));
  });
}

TEST(OpsGolden, GroupedOutput) {
  for_each_case("grouped_output", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const weights::Matrix a = c.matrix("wo_a.");
      const weights::Matrix b = c.matrix("wo_b.");
      const auto n = static_cast<int>(c.shape("o")[0]);
      const int64_t cols = c.shape("o")[1] * c.shape("o")[2];
      const ops::Values u = bench.poisoned_values(n, a.rows);
      const ops::Values y = bench.poisoned_values(n, b.rows);
      bench->project_groups(a, c.integer("groups"), n, bench.values(c.floats("o"), cols), u);
      bench->project(b, n, u, y);
      c.check(role, bench.read(y, n * b.rows));
    }
  });
}

weights::Yarn yarn_of_the_vectors() {
  return {16, 65536, 32, 1};
}

TEST(OpsGolden, RopeFrequencies) {
  for_each_case("rope_frequencies", [](const Case& c) {
    const weights::Yarn yarn = yarn_of_the_vectors();
    const double theta = c.number("theta");
    c.check("freqs",
            ops::rope_frequencies(c.integer("rope_dim"), theta, theta == 10000 ? nullptr : &yarn));
  });
}

}  // namespace
}  // namespace ds4::golden
