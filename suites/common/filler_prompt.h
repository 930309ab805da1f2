// A text of an exact length that nobody has seen before: what is asked where only speed counts.
#pragma once

#include <cstdint>

#include "suites/needle/haystack.h"

namespace ds4::suites {

/// The needle suite's text without a needle, to be gone on with; it begins with a salt of its own,
/// so that no cached prefix shortens a prefill. Sizes and errors as build_haystack().
Haystack filler_prompt(uint64_t seed, int64_t tokens, bool thinking, const TokenCounter& counter);

}  // namespace ds4::suites
