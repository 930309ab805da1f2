// Kernels of the CPU back end that no operation shows alone, against the golden vectors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/mixing.h"
#include "engine/ops/cpu/top_rows.h"
#include "tests/unit/engine/case_inputs.h"
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

TEST(CpuKernelsGolden, DecodesStoredWeights) {
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

TEST(CpuKernelsGolden, QuantisesToFp8) {
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

TEST(CpuKernelsGolden, QuantisesToFp4) {
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

TEST(CpuKernelsGolden, Hadamard) {
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

TEST(CpuKernelsGolden, Rope) {
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
        const std::vector<float> angles = bench.read(table, rope);
        for (int64_t h = 0; h < heads; ++h) {
          float* end = x.data() + (static_cast<int64_t>(t) * heads + h + 1) * dim;
          cpu::rotate(end - rope, rope, angles.data(), c.flag("inverse"),
                      precision == Precision::kReference);
        }
      }
      c.check(role, x);
    }
  });
}

TEST(CpuKernelsGolden, StreamsAreMixed) {
  for_each_case("hc_reduce", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      const auto shape = c.shape("h");
      const auto h = c.floats("h");
      const auto pre = c.floats("pre");
      std::vector<float> got(static_cast<size_t>(shape[0] * shape[2]), NAN);
      for (int64_t t = 0; t < shape[0]; ++t) {
        cpu::mix_streams(h.data() + t * shape[1] * shape[2], pre.data() + t * shape[1],
                         static_cast<int>(shape[1]), shape[2], precision == Precision::kReference,
                         got.data() + t * shape[2]);
      }
      c.check(role, got);
    }
  });
}

TEST(CpuKernelsGolden, HeadMix) {
  for_each_case("hc_head", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      const bool strict = precision == Precision::kReference;
      OpBench bench(precision);
      const int64_t n = c.shape("h")[0];
      const int64_t m = c.shape("h")[1];
      const int64_t d = c.shape("h")[2];
      const auto h = c.floats("h");
      const auto fn = c.floats("fn");
      const ops::Floats mix = bench.poisoned_floats(n, m);
      bench->project_wide(f32_matrix(fn, m, m * d), static_cast<int>(n), bench.values(h, m * d),
                          mix);
      std::vector<float> weight = bench.read(mix, n * m);
      std::vector<float> got(static_cast<size_t>(n * d), NAN);
      for (int64_t t = 0; t < n; ++t) {
        const float* streams = h.data() + t * m * d;
        float* w = weight.data() + t * m;
        const ops::MixSettings settings = settings_of(c, 1);
        const float r = cpu::inverse_rms(streams, m * d, settings.norm_eps);
        for (int64_t j = 0; j < m; ++j) w[j] *= r;
        cpu::head_coefficients(settings, c.floats("base"), c.floats("scale")[0], w);
        cpu::mix_streams(streams, w, static_cast<int>(m), d, strict, got.data() + t * d);
      }
      c.check(role, got);
    }
  });
}

TEST(CpuKernelsGolden, Swiglu) {
  for_each_case("swiglu", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      const int64_t n = c.shape("gate")[0];
      const int64_t cols = c.shape("gate")[1];
      const auto gate = c.floats("gate");
      const auto up = c.floats("up");
      const auto weight = c.floats("weight");
      std::vector<float> got(gate.size(), NAN);
      for (int64_t t = 0; t < n; ++t) {
        cpu::swiglu(gate.data() + t * cols, up.data() + t * cols, weight[static_cast<size_t>(t)],
                    static_cast<float>(c.number("limit")), cols, precision == Precision::kReference,
                    got.data() + t * cols);
      }
      c.check(role, got);
    }
  });
}

TEST(CpuKernelsGolden, IndexScores) {
  for_each_case("index_scores", [](const Case& c) {
    for (const auto& [precision, role] : kBothPrecisions) {
      const int64_t n = c.shape("iq")[0];
      const int64_t heads = c.shape("iq")[1];
      const int64_t dim = c.shape("iq")[2];
      const int64_t keys = c.shape("keys")[0];
      const auto iq = c.floats("iq");
      const auto weight = c.floats("weights");
      const auto key_rows = c.floats("keys");
      std::vector<float> got(static_cast<size_t>(n * keys), NAN);
      for (int64_t key = 0; key < keys; key += cpu::kKeyTile) {
        const int64_t count = std::min(cpu::kKeyTile, keys - key);
        std::vector<float> rows(static_cast<size_t>(count * cpu::padded(dim)), NAN);
        for (int64_t j = 0; j < count; ++j) {
          std::copy_n(key_rows.data() + (key + j) * dim, dim, rows.data() + j * cpu::padded(dim));
        }
        std::vector<float> tile(static_cast<size_t>(dim * cpu::kKeyTile), NAN);
        cpu::transpose_keys(rows.data(), count, dim, tile.data());
        for (int64_t t = 0; t < n; ++t) {
          std::vector<float> score(cpu::kKeyTile, NAN);
          cpu::score_keys(iq.data() + t * heads * dim, weight.data() + t * heads, heads, dim,
                          tile.data(), precision == Precision::kReference, score.data());
          std::copy_n(score.data(), count, got.data() + t * keys + key);
        }
      }
      c.check(role, got);
    }
  });
}

TEST(CpuKernelsGolden, IndexSelect) {
  for_each_case("index_select", [](const Case& c) {
    const auto scores = c.floats("scores");
    const auto visible = c.integers("visible");
    const int64_t rows = c.shape("scores")[1];
    const int64_t k = c.integer("k");
    const int64_t wanted = c.output_shape("ids")[1];
    std::vector<int64_t> got;
    for (size_t t = 0; t < visible.size(); ++t) {
      cpu::TopRows best(k);
      const float* row = scores.data() + static_cast<int64_t>(t) * rows;
      for (int64_t at = 0; at < visible[t]; at += 13) {
        best.offer(row + at, at, std::min<int64_t>(13, visible[t] - at));
      }
      std::vector<int32_t> ids(static_cast<size_t>(k), 12345);
      best.finish(ids.data());
      got.insert(got.end(), ids.begin(), ids.begin() + wanted);
    }
    EXPECT_EQ(got, c.output_integers("ids"));
  });
}

}  // namespace
}  // namespace ds4::golden
