// The features of garbled text of an attempt, as they are stored with it and read again.
#pragma once

#include <span>
#include <vector>

#include "probes/sample.h"
#include "reports/store/store.h"
#include "suites/common/garble.h"

namespace ds4::runners::outcome {

/// Of the stored columns: reasoning and visible answer of the last turn, and what the samples know
/// of log-probabilities.
suites::GarbleValues garble_of(const reports::AttemptRow& attempt);

/// To be stored with an attempt: "garble_" + each feature that is defined, "clean" (1: none beyond
/// its bound), and with a sign "garble_onset", the tokens of the answer before the first one.
/// `logprobs` of the answer's tokens, empty where the target gave none.
std::vector<probes::Sample> garble_samples(const reports::AttemptRow& attempt,
                                           std::span<const double> logprobs);

}  // namespace ds4::runners::outcome
