// What the reference computed for a text (tests/golden), as it lies beside a model in
// golden.safetensors, and how an engine's logits are held against it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/selftest/check.h"

namespace ds4::selftest {

inline constexpr const char* kGoldenName = "golden.safetensors";

/// The golden run of one text in one set of rounding points.
struct Golden {
  Precision precision = Precision::kF32;
  std::vector<TokenId> tokens;     // of the whole text
  std::vector<int64_t> positions;  // that have golden rows, ascending
  std::vector<float> logits;       // [positions, vocab]
  std::vector<float> noise;        // [positions], relative to the largest logit
};

/// Reads one precision of `file`. `total` tokens, the stored ones again and again, or 0 = as
/// stored.
Golden read_golden(const std::filesystem::path& file, Precision precision, int64_t total = 0);
/// Whether the file has golden logits of that precision.
bool has_golden(const std::filesystem::path& file, Precision precision);
/// Where the answer that ends the text begins.
int64_t read_answer_begin(const std::filesystem::path& file);

/// One draw from the last logits of a model's f32 run, the last kDrawAnswer tokens of its text
/// being the answer.
struct GoldenDraw {
  SamplingSettings sampling;
  TokenId token = 0;
};
inline constexpr size_t kDrawAnswer = 12;
std::vector<GoldenDraw> read_draws(const std::filesystem::path& file);

/// Tokens that each round of decoding with two drafts yields behind the model's text in f32, drawn
/// with the settings below.
std::vector<int64_t> read_rounds(const std::filesystem::path& file);
inline constexpr double kRoundTemperature = 4;
inline constexpr uint64_t kRoundSeed = 5;

/// Which golden positions a check looks at: those that complete a block of four see the row made
/// of it for the first time.
enum class Positions { kAll, kInsideBlocks, kBlockEnds };

/// An engine for `model` reads the text; its logits against the golden ones. In f32 the worst
/// position counts, in the reference precision the upper quartile, which its bound allows some
/// multiple of the reference's own noise.
Measured compare_golden(const Bench& bench, const std::filesystem::path& model,
                        const Golden& golden, Positions which = Positions::kAll);

/// The bound of a comparison in f32.
inline constexpr double kF32Bound = 1e-5;

}  // namespace ds4::selftest
