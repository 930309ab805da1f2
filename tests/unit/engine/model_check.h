// Whole models against golden logits in every precision; runs on the device this executable tests.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "engine/api/session.h"

namespace ds4::golden {

/// f32 has no rounding points: only the order of summation separates us from float64.
inline constexpr double kF32Tolerance = 1e-4;
/// In the reference precision a sum that lands on the other side of a BF16 rounding boundary moves
/// FP8 codes behind it; after two layers every later value carries noise of the size of the
/// simulated formats (tests/golden/README.md, "Tolerances"). The bounds are on the middle and,
/// loosely, on the worst position, relative to the largest logit.
inline constexpr double kReferenceMedian = 0.06;
inline constexpr double kReferenceWorst = 0.5;

/// A row of golden logits and the settings that belong to it.
struct Set {
  const char* name;
  EngineSettings settings;
};
std::vector<Set> sets();

EngineSettings sized(EngineSettings settings, size_t tokens, int chunk, int threads);

/// Logits of all positions [n, vocab].
std::vector<float> all_logits(const std::filesystem::path& checkpoint,
                              std::span<const TokenId> tokens, const EngineSettings& settings);

/// Expects the logits of a checkpoint to match golden.safetensors in `vectors` and prints the
/// errors.
void check_model(const std::filesystem::path& checkpoint, const std::filesystem::path& vectors);

}  // namespace ds4::golden
