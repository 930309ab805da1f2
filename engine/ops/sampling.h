// Drawing a token, defined to the bit so that every back end draws the same: a counter-based
// generator and the order in which probabilities are summed.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/api/session.h"

namespace ds4::ops {

/// Philox4x32-10: four random words of a counter under a key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The uniform number in [0, 1) with 53 bits that belongs to (seed, sequence, position).
double uniform_at(uint64_t seed, uint64_t sequence, int64_t position);

/// The token drawn from `logits` at `position`.
/// temperature 0: the largest logit, lowest id on ties. Else p_i ~ exp((logit_i - max) / t) in
/// double; with top_p < 1 tokens are ordered by (probability descending, id ascending) and the
/// shortest prefix whose sum reaches top_p of the total is kept; then u * kept sum is looked up in
/// the running sum in that order (in order of ids when nothing is cut). NaN logits never win.
/// Throws Error(kUsage) for a negative temperature or top_p outside (0, 1].
TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings);

}  // namespace ds4::ops
