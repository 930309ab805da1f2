// Drawing a token, defined to the bit so that every back end draws the same: a counter-based
// generator, an exponential of its own, and the order in which numbers are added. The chain is
// bias, repetition controls, temperature, top-k, min-p, top-p, draw.
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

/// e^x for x <= 0 within 2 ulp, by one sequence of IEEE operations, each rounded by itself (no
/// fused multiply-add): k = floor(x log2(e) + 1/2), r = (x - k ln2_high) - k ln2_low, Taylor's
/// polynomial of degree 13 in r by Horner's rule, times 2^k. 0 below -708 and for -inf.
double exp_of_negative(double x);

/// Tokens per partial sum of a draw (pick_weighted).
inline constexpr size_t kSumBlock = 1024;

/// The index that u in [0, 1) chooses with chances proportional to `weights` (>= 0, not all 0).
/// Sums of consecutive blocks of kSumBlock weights are made first, each from its first weight on;
/// total = the sum of the block sums in order, target = u * total. The first block at which the sum
/// of block sums exceeds the target is entered with the sum before it, and its weights are added
/// one by one: the first index at which that exceeds the target wins. Where rounding lets none
/// exceed it, the last block, or index of the block, with any weight wins.
size_t pick_weighted(std::span<const double> weights, double u);

/// Refuses settings that no draw can follow, and biases of tokens outside the vocabulary:
/// Error(kUsage) naming the setting.
void check_sampling(const SamplingSettings& settings, int64_t vocab_size);

/// The token drawn from `logits` [vocab] at `position`, `history` being the tokens in front of it;
/// a pure function, so that rows may be drawn in any order (verification of drafts draws several).
///
/// In double, each operation rounded by itself:
///  1. z_i = logits_i; NaN counts as -inf.
///  2. Each bias of `logit_bias` is added, in list order.
///  3. repetition_penalty r, for each token of the history, prompt included, once: z / r when z >
///  0,
///     else z * r (Keskar et al. 2019, section 4.1; Hugging Face and vLLM do the same).
///  4. For each token that occurs c > 0 times behind the prompt: z - frequency_penalty * c, then
///     - presence_penalty (the formula of OpenAI's API; counts as in vLLM, the prompt left out).
///  5. temperature 0: the largest z, lowest id on ties. Else w_i = exp_of_negative((z_i - max z) /
///     temperature), 1 where z_i = max z.
///  6. top_k > 0 keeps the k largest w, lower ids first on ties: exactly k, unless the vocabulary
///  is
///     smaller. The others become 0.
///  7. min_p makes 0 of every w < min_p (the largest w is 1).
///  8. top_p < 1: with total = the sum of w as pick_weighted makes it, the shortest prefix of (w
///     descending, id ascending) whose running sum reaches top_p * total is kept.
///  9. pick_weighted(w, uniform_at(seed, sequence, position)).
/// Steps 6-8 always keep the most likely token. Throws Error(kUsage) as check_sampling, and
/// Error(kMachine) when no logit is above -inf.
TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings, const TokenHistory& history = {});

}  // namespace ds4::ops
