// Rotation frequencies of model.md 3.3: plain, or YaRN without magnitude scaling.
#pragma once

#include <vector>

#include "engine/weights/config.h"

namespace ds4::ops {

/// f_i, i = 0..rope_dim/2-1, computed in double and rounded once; `yarn` null:
/// theta^(-2i/rope_dim).
std::vector<float> rope_frequencies(int rope_dim, double theta, const weights::Yarn* yarn);

}  // namespace ds4::ops
