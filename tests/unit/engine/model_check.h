// Whole models against golden logits in every precision; runs on the device this executable tests.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "engine/api/session.h"

namespace ds4::golden {

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
