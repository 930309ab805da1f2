// The rules of lint.h by what they are about, and what they share. For the lint_*.cpp files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runners/fit/lint.h"

namespace ds4::runners::fit {

std::span<const Rule> engine_rules();
std::span<const Rule> suite_rules();

using MaybeChange = std::optional<Change>;
using profiles::SuiteSection;

constexpr int64_t kGiB = int64_t{1} << 30;

// Bounds of the sources that rules of several files share.
constexpr int64_t kSmallChunk = 4096, kSmallChunkContext = 98304;
constexpr int64_t kResetPrompt = 131072;

template <typename T>
T value_of(const SuiteSection& suite, const char* name, T missing) {
  const auto found = suite.parameters.find(name);
  const T* value = found == suite.parameters.end() ? nullptr : std::get_if<T>(&found->second);
  return value ? *value : missing;
}

/// Prompt tokens; none for suites whose prompts are short.
inline std::vector<int64_t> lengths_of(const SuiteSection& suite) {
  return value_of(suite, "lengths", std::vector<int64_t>());
}

inline int64_t longest_of(const SuiteSection& suite) {
  const auto lengths = lengths_of(suite);
  return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

inline int64_t longest_of(const profiles::Profile& cell) {
  int64_t longest = 0;
  for (const SuiteSection& suite : cell.suites) longest = std::max(longest, longest_of(suite));
  return longest;
}

/// On a GPU that shares its memory, or may: what happened on a Spark says nothing of cards.
inline bool shared_gpu(const Subject& s) {
  return s.cell.engine.device == "cuda" && (!s.machine || s.machine->unified);
}

inline int64_t weight_bytes(const Prediction& prediction) {
  int64_t bytes = 0;
  for (const Owner& owner : prediction.owners) {
    if (owner.name == "weights" || owner.name == "MTP weights") bytes += owner.bytes;
  }
  return bytes;
}

}  // namespace ds4::runners::fit
