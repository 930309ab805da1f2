// A model of the real shapes with random weights, for timing: layers of a kind share a few sets of
// weights, which keeps it small without letting any cache hold what a step reads.
#pragma once

#include <vector>

#include "engine/weights/weights.h"
#include "tests/support/random_data.h"

namespace ds4::bench {

struct FullShape {
  weights::ModelWeights weights;
  std::vector<test_support::RandomMatrix> matrices;
};

/// 43 layers in the order of DeepSeek-V4-Flash with `experts` routed experts each, drawn from
/// `sets` different layers per kind.
FullShape make_full_shape(int experts, int sets);

}  // namespace ds4::bench
