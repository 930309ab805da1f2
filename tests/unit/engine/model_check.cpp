#include "tests/unit/engine/model_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {
namespace fs = std::filesystem;

// One layer cannot cascade: it is the sharp test.
constexpr double kOneLayerMedian = 1e-5;

/// Logits of the given ascending positions [n, vocab], by extending the timeline from one to the
/// next.
std::vector<float> logits_at(const fs::path& checkpoint, std::span<const TokenId> tokens,
                             std::span<const int64_t> positions, const EngineSettings& settings) {
  const auto engine = Engine::load(checkpoint, settings);
  const auto session = engine->new_session();
  std::vector<float> rows;
  for (const int64_t position : positions) {
    session->extend_to(tokens.first(static_cast<size_t>(position) + 1));
    rows.insert(rows.end(), session->logits().begin(), session->logits().end());
  }
  return rows;
}

struct Difference {
  double median = 0;  // over positions, of max|d| / max|ref|
  double worst = 0;
  int same_top = 0;
  int positions = 0;
};

Difference compare(std::span<const float> got, std::span<const float> want, size_t positions) {
  const size_t vocab = want.size() / positions;
  double largest = 0;
  for (const float w : want) largest = std::max(largest, std::fabs(static_cast<double>(w)));
  std::vector<double> errors;
  Difference result;
  result.positions = static_cast<int>(positions);
  for (size_t i = 0; i < positions; ++i) {
    const auto g = got.subspan(i * vocab, vocab);
    const auto w = want.subspan(i * vocab, vocab);
    double error = 0;
    for (size_t j = 0; j < vocab; ++j) {
      error = std::max(error, std::isfinite(g[j]) ? std::fabs(double{g[j]} - w[j]) : INFINITY);
    }
    errors.push_back(error / largest);
    result.same_top += std::max_element(g.begin(), g.end()) - g.begin() ==
                       std::max_element(w.begin(), w.end()) - w.begin();
  }
  std::sort(errors.begin(), errors.end());
  result.median = errors[errors.size() / 2];
  result.worst = errors.back();
  return result;
}

}  // namespace

std::vector<Set> sets() {
  EngineSettings fp8;
  fp8.device = kTestDevice;
  EngineSettings bf16 = fp8;
  bf16.kv_dtype = KvDtype::kBf16;
  EngineSettings index = bf16;
  index.index_dtype = IndexDtype::kBf16;
  EngineSettings f32 = fp8;
  f32.precision = Precision::kF32;
  return {{"reference_kv_fp8", fp8},
          {"reference_kv_bf16", bf16},
          {"reference_kv_bf16_index_bf16", index},
          {"f32", f32}};
}

EngineSettings sized(EngineSettings settings, size_t tokens, int chunk, int threads) {
  settings.context_length = static_cast<int64_t>(tokens);
  settings.prefill_chunk = chunk;
  settings.threads = threads;
  return settings;
}

std::vector<float> all_logits(const fs::path& checkpoint, std::span<const TokenId> tokens,
                              const EngineSettings& settings) {
  const auto engine = Engine::load(checkpoint, settings);
  const auto session = engine->new_session();
  std::vector<float> rows;
  session->extend_to(tokens, nullptr, [&](int64_t position, std::span<const float> logits) {
    EXPECT_EQ(position * engine->info().vocab_size, static_cast<int64_t>(rows.size()));
    rows.insert(rows.end(), logits.begin(), logits.end());
  });
  return rows;
}

void check_model(const fs::path& checkpoint, const fs::path& vectors) {
  const std::vector<TokenId> tokens = read_tokens(vectors / "tokens.json");
  const GoldenFile golden(vectors / "golden.safetensors");
  const auto positions = golden.integers("positions");
  for (const Set& set : sets()) {
    const std::string name = std::string(set.name) + "/logits";
    if (!golden.has(name)) continue;
    SCOPED_TRACE(set.name);
    const auto got =
        logits_at(checkpoint, tokens, positions, sized(set.settings, tokens.size(), 256, 2));
    const std::vector<float> want = golden.floats(name);
    ASSERT_EQ(got.size(), want.size());
    const Difference d = compare(got, want, positions.size());
    std::printf("[  error   ] %s %s: median %.1e, worst %.1e of the largest logit, top-1 %d/%d\n",
                vectors.filename().c_str(), set.name, d.median, d.worst, d.same_top, d.positions);
    if (set.settings.precision == Precision::kF32) {
      EXPECT_LE(d.worst, kF32Tolerance);
      EXPECT_EQ(d.same_top, d.positions);
    } else {
      const bool one_layer = vectors.filename().string().starts_with("one_");
      EXPECT_LE(d.median, one_layer ? kOneLayerMedian : kReferenceMedian);
      EXPECT_LE(d.worst, kReferenceWorst);
      // Random weights leave near ties at the top.
      EXPECT_GE(d.same_top, d.positions * 3 / 4);
    }
  }
}

}  // namespace ds4::golden
