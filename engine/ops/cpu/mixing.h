// Hyper-connection coefficients of one token (model.md 3.2 steps 2-4 and 3.8), in plain f32.
#pragma once

#include <span>

#include "engine/ops/ops.h"

namespace ds4::ops::cpu {

/// From m = (F v) * r [streams * (streams + 2)]: pre, post and the Sinkhorn-normalised C, written
/// over m in that order.
void mix_coefficients(const MixSettings& settings, std::span<const float> base,
                      std::span<const float> scale, float* m);

/// From m [streams]: the sigmoid weights of the head, written over m.
void head_coefficients(const MixSettings& settings, std::span<const float> base, float scale,
                       float* m);

}  // namespace ds4::ops::cpu
