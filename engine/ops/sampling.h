// Drawing a token, defined to the bit so that every back end draws the same: a counter-based
// generator, an exponential of its own, and weights that are integers, so that no sum depends on an
// order. The chain is bias, repetition controls, temperature, top-k, min-p, top-p, draw.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/api/session.h"
#include "engine/ops/drawing.h"

namespace ds4::ops {

/// Philox4x32-10: four random words of a counter under a key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The random number that belongs to (seed, sequence, position): 53 bits, a share of 2^53.
uint64_t random_at(uint64_t seed, uint64_t sequence, int64_t position);

/// The index that `random` (53 bits) chooses with chances proportional to `weights`, whose sum is
/// above 0 and below 2^64: the first at which the running sum exceeds floor(random * sum / 2^53).
size_t pick_weighted(std::span<const uint64_t> weights, uint64_t random);

/// Refuses settings that no draw can follow, and biases of tokens outside the vocabulary:
/// Error(kUsage) naming the setting.
void check_sampling(const SamplingSettings& settings, int64_t vocab_size);

/// The tokens whose logits settings and history change, each once, in no particular order.
struct TokenChanges {
  std::vector<TokenChange> tokens;
  std::vector<float> biases;  // those of a token end to end, in the order of the settings
};
TokenChanges token_changes(const SamplingSettings& settings, const TokenHistory& history,
                           int64_t vocab_size);
inline Penalties penalties_of(const SamplingSettings& settings) {
  return {settings.repetition_penalty, settings.frequency_penalty, settings.presence_penalty};
}

/// The least weight that min_p keeps.
uint64_t least_weight(double min_p);

/// No token: no logit is above -inf.
inline constexpr TokenId kNoToken = -1;

/// The token drawn from `logits` [vocab] at `position`, `history` being the tokens in front of it;
/// a pure function, so that rows may be drawn in any order (verification of drafts draws several).
///
/// In double, each operation rounded by itself, up to the weights, which are integers:
///  1. z_i = logits_i; NaN counts as -inf.
///  2. Each bias of `logit_bias` is added, in list order.
///  3. repetition_penalty r, for each token of the history, prompt included, once: z / r when z is
///     above 0, else z * r (Keskar et al. 2019, section 4.1; Hugging Face and vLLM do the same).
///  4. For each token that occurs c > 0 times behind the prompt: z - frequency_penalty * c, then
///     - presence_penalty (the formula of OpenAI's API; counts as in vLLM, the prompt left out).
///  5. temperature 0: the largest z, lowest id on ties. Else w_i = 2^40 where z_i = max z, and
///     floor(2^40 exp_of_negative((z_i - max z) / temperature)) elsewhere: no token's chance is
///     off by more than 2^-40 of the likeliest one's.
///  6. top_k > 0 keeps the k largest w, lower ids first on ties: exactly k, unless there are
///     fewer. The others become 0.
///  7. min_p makes 0 of every w < min_p * 2^40.
///  8. top_p < 1: the shortest prefix of (w descending, id ascending) is kept whose sum reaches
///     ceil(top_p * sum of w), the sum rounded to double.
///  9. pick_weighted(w, random_at(seed, sequence, position)).
/// Steps 6-8 always keep the most likely token. kNoToken when no logit is above -inf. `settings`
/// must have passed check_sampling.
TokenId draw_token(std::span<const float> logits, int64_t position,
                   const SamplingSettings& settings, const TokenHistory& history);

/// Throws Error(kMachine) saying that nothing could be drawn at `position` when `token` is none.
TokenId require_token(TokenId token, int64_t position);

/// All of it: check_sampling, draw_token, require_token.
TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings, const TokenHistory& history = {});

}  // namespace ds4::ops
