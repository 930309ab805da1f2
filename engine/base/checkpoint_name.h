// How generated weights are written down, `synthetic:k160`, and how what was measured on them stays
// marked. What such a name stands for is engine/weights/source.h's business.
#pragma once

#include <string_view>

namespace ds4 {

/// True for names of generated weights: not a path, never resolved against a folder. A folder whose
/// name looks like that is meant by writing `./` in front of it.
constexpr bool is_synthetic_name(std::string_view text) {
  return text.starts_with("synthetic:");
}

/// What the identity of a checkpoint with generated weights begins with, in memory or on disk:
/// such weights serve measurements of speed and memory only.
inline constexpr std::string_view kSyntheticIdentity = "synthetic-";

constexpr bool is_synthetic_identity(std::string_view identity) {
  return identity.starts_with(kSyntheticIdentity);
}

/// What every report on such weights says.
inline constexpr std::string_view kSyntheticNote = "synthetic weights: speed and memory only";

}  // namespace ds4
