// Element formats, norms, projections and rotations against the golden vectors.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/rope.h"
#include "tests/unit/engine/golden_case.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {
using ops::RowFormat;
using ops::RowLayout;
namespace cpu = ops::cpu;

// Space for one padded row.
std::vector<float> row_of(int64_t cols) {
  return std::vector<float>(static_cast<size_t>(cpu::padded(cols)), NAN);
}

TEST(OpsGolden, DecodesStoredWeights) {
  for_each_case("decode", [](const Case& c) {
    if (!c.has_input("weight")) return;  // element tables belong to the weight codecs' tests
    const weights::Matrix w = c.matrix();
    std::vector<float> got;
    for (int64_t r = 0; r < w.rows; ++r) {
      std::vector<float> row = row_of(w.cols);
      cpu::decode_weights(w, r, row.data());
      got.insert(got.end(), row.begin(), row.begin() + w.cols);
    }
    c.check("y", got);
  });
}

TEST(OpsGolden, QuantisesToFp8) {
  for_each_case("q8", [](const Case& c) {
    const auto x = c.floats("x");
    const int64_t cols = c.shape("x")[1];
    const int64_t rows = c.shape("x")[0];
    std::vector<float> activations;
    std::vector<float> codes;
    std::vector<uint8_t> scales;
    std::vector<float> simulated;
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = x.data() + r * cols;
      std::vector<float> row = row_of(cols);
      cpu::prepare_row(from, cols, c.integer("block"), true, row.data());
      activations.insert(activations.end(), row.begin(), row.begin() + cols);
      if (c.integer("block") != ops::kKvBlock) continue;
      const RowLayout layout{RowFormat::kFp8, static_cast<int>(cols), 0};
      std::vector<uint8_t> bytes(static_cast<size_t>(layout.bytes()), 0xFF);
      auto* packed = reinterpret_cast<std::byte*>(bytes.data());
      cpu::encode_row(layout, from, packed);
      scales.insert(scales.end(), bytes.begin() + layout.scale_offset(),
                    bytes.begin() + layout.scale_offset() + layout.n_scales());
      for (int64_t i = 0; i < cols; ++i) codes.push_back(bytes[static_cast<size_t>(i)]);
      row = row_of(cols);
      cpu::decode_row(layout, packed, row.data());
      simulated.insert(simulated.end(), row.begin(), row.begin() + cols);
    }
    c.check("y", activations);
    if (codes.empty()) return;
    const std::vector<uint8_t> want = c.output_bytes("codes");
    EXPECT_EQ(codes, std::vector<float>(want.begin(), want.end()));
    EXPECT_EQ(scales, c.output_bytes("scales"));
    c.check("y", simulated);
  });
}

TEST(OpsGolden, QuantisesToFp4) {
  for_each_case("q4", [](const Case& c) {
    const auto x = c.floats("x");
    const int64_t rows = c.shape("x")[0];
    const int64_t cols = c.shape("x")[1];
    const RowLayout layout{RowFormat::kFp4, static_cast<int>(cols), 0};
    std::vector<float> codes;
    std::vector<float> in_place;
    std::vector<float> stored;
    std::vector<uint8_t> scales;
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<uint8_t> bytes(static_cast<size_t>(layout.bytes()), 0xFF);
      auto* packed = reinterpret_cast<std::byte*>(bytes.data());
      cpu::encode_row(layout, x.data() + r * cols, packed);
      for (int64_t i = 0; i < cols; ++i) {
        const uint8_t byte = bytes[static_cast<size_t>(i / 2)];
        codes.push_back(static_cast<float>(i % 2 ? byte >> 4 : byte & 15));
      }
      scales.insert(scales.end(), bytes.begin() + layout.scale_offset(), bytes.end());
      std::vector<float> row = row_of(cols);
      cpu::decode_row(layout, packed, row.data());
      stored.insert(stored.end(), row.begin(), row.begin() + cols);
      std::vector<float> simulated(x.begin() + r * cols, x.begin() + (r + 1) * cols);
      cpu::simulate_fp4(simulated.data(), cols);
      in_place.insert(in_place.end(), simulated.begin(), simulated.end());
    }
    c.check("codes", codes);
    EXPECT_EQ(scales, c.output_bytes("scales"));
    c.check("y", stored);
    c.check("y", in_place);
  });
}

TEST(OpsGolden, Hadamard) {
  for_each_case("hadamard", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      std::vector<float> x = c.floats("x");
      const int64_t dim = c.shape("x").back();
      for (size_t at = 0; at < x.size(); at += static_cast<size_t>(dim)) {
        cpu::hadamard(x.data() + at, dim, precision == Precision::kReference);
      }
      c.check(role, x);
    }
  });
}

TEST(OpsGolden, RmsNorm) {
  for_each_case("rms", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      const auto n = static_cast<int>(c.shape("x")[0]);
      const int64_t cols = c.shape("x")[1];
      const ops::Values y = bench.poisoned_values(n, cols);
      bench->rms_norm(c.floats("gain"), static_cast<float>(c.number("eps")), n,
                      bench.values(c.floats("x"), cols), y);
      c.check(role, OpBench::read(y.data, n * cols));
    }
  });
}

TEST(OpsGolden, QueryHeadNorm) {
  for_each_case("q_head_norm", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      std::vector<float> q = c.floats("q");
      const int64_t dim = c.shape("q").back();
      for (size_t at = 0; at < q.size(); at += static_cast<size_t>(dim)) {
        cpu::normalise_head(q.data() + at, dim, static_cast<float>(c.number("eps")),
                            precision == Precision::kReference);
      }
      c.check(role, q);
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
      c.check(role, OpBench::read(y.data, n * w.rows));
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
    c.check("y", OpBench::read(y.data, n * w.rows));
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
      c.check(role, OpBench::read(y.data, n * b.rows));
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

TEST(OpsGolden, Rope) {
  for_each_case("rope", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      OpBench bench(precision);
      std::vector<float> x = c.floats("x");
      const auto freqs = c.floats("freqs");
      const auto positions = c.integers("positions");
      const int64_t heads = c.shape("x")[1];
      const int64_t dim = c.shape("x")[2];
      const auto rope = static_cast<int64_t>(2 * freqs.size());
      for (size_t t = 0; t < positions.size(); ++t) {
        const ops::Floats table = bench.poisoned_floats(1, rope);
        const ops::Segment segment{0, {positions[t], 1}};
        bench->rotation(freqs, {&segment, 1}, table);
        for (int64_t h = 0; h < heads; ++h) {
          float* end = x.data() + (static_cast<int64_t>(t) * heads + h + 1) * dim;
          cpu::rotate(end - rope, rope, reinterpret_cast<const float*>(table.data),
                      c.flag("inverse"), precision == Precision::kReference);
        }
      }
      c.check(role, x);
    }
  });
}

}  // namespace
}  // namespace ds4::golden
