// Whole small models and the tiny checkpoint against the reference's logits, in every precision,
// and the promise that chunk sizes, thread counts and prefix reuse do not change a bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "engine/api/session.h"
#include "hwy/highway.h"
#include "tests/support/source_dir.h"
#include "tests/unit/engine/golden_file.h"

namespace ds4::golden {
namespace {
namespace fs = std::filesystem;

// f32 has no rounding points: only the order of summation separates us from float64.
constexpr double kF32Tolerance = 1e-4;
// In the reference precision a sum that lands on the other side of a BF16 rounding boundary moves
// FP8 codes behind it; after two layers every later value carries noise of the size of the
// simulated formats (tests/golden/README.md, "Tolerances"). The bounds are on the middle and,
// loosely, on the worst position, relative to the largest logit. One layer cannot cascade: it is
// the sharp test.
constexpr double kReferenceMedian = 0.06;
constexpr double kReferenceWorst = 0.5;
constexpr double kOneLayerMedian = 1e-5;

struct Set {
  const char* name;
  EngineSettings settings;
};

std::vector<Set> sets() {
  EngineSettings fp8;
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

/// Logits of all positions [n, vocab].
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

std::vector<std::string> folders(const char* part) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(vectors_dir() / part)) {
    if (fs::exists(entry.path() / "golden.safetensors")) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class RandomModel : public ::testing::TestWithParam<std::string> {};

TEST_P(RandomModel, MatchesTheReference) {
  const fs::path model = vectors_dir() / "models" / GetParam();
  check_model(model, model);
}

// Not a tolerance: equal bits, because every sum has one order whatever it is computed beside.
TEST_P(RandomModel, ChunkSizesAndThreadsChangeNothing) {
  const fs::path model = vectors_dir() / "models" / GetParam();
  std::vector<TokenId> tokens = read_tokens(model / "tokens.json");
  tokens.resize(std::min<size_t>(tokens.size(), 700));
  for (const Set& set : sets()) {
    SCOPED_TRACE(set.name);
    const auto whole = all_logits(model, tokens, sized(set.settings, tokens.size(), 4096, 2));
    for (const auto& [chunk, threads] : {std::pair{1, 1}, {7, 3}, {128, 2}, {130, 1}}) {
      EXPECT_EQ(whole,
                all_logits(model, tokens, sized(set.settings, tokens.size(), chunk, threads)))
          << "chunk " << chunk << ", threads " << threads;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, RandomModel, ::testing::ValuesIn(folders("models")),
                         [](const auto& test) { return test.param; });

// Every instruction set this machine has, not only the best.
TEST(InstructionSets, EachMatchesTheReference) {
  for (const int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON}) {
    if (!(hwy::SupportedTargets() & target)) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    std::printf("[  target  ] %s\n", hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    for (const char* name : {"one_csa", "one_hca", "odd"}) {
      check_model(vectors_dir() / "models" / name, vectors_dir() / "models" / name);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

class TinyCheckpoint : public ::testing::TestWithParam<std::string> {};

TEST_P(TinyCheckpoint, MatchesTheReference) {
  const fs::path checkpoint = test_support::source_dir() / "checkpoints/tiny";
  if (!fs::exists(checkpoint / "config.json")) GTEST_SKIP() << "no checkpoints/tiny";
  check_model(checkpoint, vectors_dir() / "tiny" / GetParam());
}

std::string test_name(const ::testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Golden, TinyCheckpoint, ::testing::ValuesIn(folders("tiny")), test_name);

}  // namespace
}  // namespace ds4::golden
