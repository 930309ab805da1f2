// Sizes prompts for targets that only estimate, by what they state for a sample of the text.
#pragma once

#include <cstdint>
#include <functional>

#include "suites/suite.h"

namespace ds4::suites {

/// Up to so many tokens the sample is the whole text, so that its size is corrected until it is
/// met.
inline constexpr int64_t kWholeSample = 16384;

/// How far from its size a text may be that need not be corrected.
inline constexpr double kSizeTolerance = 0.002;

/// A text of about `tokens` tokens of the kind that is to be sized, by that counter; 0 = the
/// shortest there is.
using SampleText = std::function<Conversation(int64_t tokens, const TokenCounter& counter)>;

/// A counter for a text of `tokens` tokens: `counter` itself where it is exact or cannot be asked;
/// else one that agrees with what was stated for samples. Of a text longer than kWholeSample these
/// are the shortest and one of `sample_tokens`; else up to four of the whole, until one is within
/// kSizeTolerance. Each costs the target a prefill.
TokenCounter calibrated(const TokenCounter& counter, int64_t tokens, int64_t sample_tokens,
                        const SampleText& sample);

}  // namespace ds4::suites
