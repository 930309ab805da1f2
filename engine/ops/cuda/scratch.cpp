// Memory of the CUDA back end from the sizes of a model; host arithmetic in every build.
#include <algorithm>

#include "engine/ops/cuda/estimate.h"
#include "engine/ops/cuda/pool.h"
#include "engine/ops/cuda/weight_plan.h"

namespace ds4::ops {
namespace {

int64_t rounded(int64_t bytes) {
  return cuda::Pool::rounded(bytes);
}

// What a product of x [rows, cols] puts its activations into: f32, or two bytes and a scale per 128
// values, which is less.
int64_t product(int64_t rows, int64_t cols) {
  return rounded(rows * cols * 4) + rounded(rows * (cols / 128) * 4);
}

// A stack of experts over `pairs` rows of results, from `n` rows of d values.
int64_t stack(int64_t pairs, int64_t n, int64_t inter, int64_t d, int64_t value) {
  const int64_t gate_up = rounded(pairs * 2 * inter * value);
  const int64_t out = rounded(pairs * d * value);
  const int64_t hidden = rounded(pairs * inter * value);  // where it is not made on the way
  return gate_up + out + hidden + 2 * product(n, d) + product(pairs, inter);
}

}  // namespace

int64_t cuda_piece_bytes(int64_t bytes) {
  return rounded(bytes);
}

CudaWeightBytes cuda_weight_bytes(const weights::ModelWeights& shapes, Precision precision) {
  cuda::WeightPlan plan(precision == Precision::kReference,
                        [](const weights::Matrix&) { return true; });
  plan.add(shapes);
  return {plan.bytes(), plan.table_bytes()};
}

int64_t cuda_scratch_bytes(const weights::ModelConfig& c, int experts, int rows,
                           int64_t context_length, Precision precision) {
  const int64_t n = rows;
  const int64_t value = cuda_value_bytes(precision);
  const int64_t d = c.hidden_size;
  const int64_t streams = int64_t{c.hc_mult} * d;
  const int64_t heads = c.num_attention_heads;
  const int64_t targets = static_cast<int64_t>(c.dspark_target_layer_ids.size());
  const int64_t widest = std::max({d, int64_t{c.q_lora_rank}, heads * c.head_dim,
                                   int64_t{c.o_groups} * c.o_lora_rank, targets * d});
  // At most seven products of one x each have theirs.
  const int64_t projections = std::max(product(n, widest), 7 * product(n, d));
  const int64_t mixing = rounded(n * (streams / 512 + 1) * (c.hc_rows() + 1) * 4);
  const int64_t joined =
      rounded(n * d * value) + rounded(n * streams * value) + product(n, d) + product(n, streams);
  const int64_t pairs = n * c.num_experts_per_tok;
  const int64_t lists = rounded((pairs + experts) * 16) + 4 * rounded(pairs * 4);
  const int64_t mixture = lists + stack(pairs, n, c.moe_intermediate_size, d, value) +
                          stack(n, n, c.shared_intermediate_size(), d, value);
  // One row of scores may be larger than a portion.
  int64_t row = c.sliding_window + c.dspark_block_size + int64_t{c.index_topk} + 128;
  for (const int ratio : c.compress_ratios) {
    if (ratio) row = std::max(row, c.sliding_window + 128 + context_length / ratio);
  }
  const int64_t scores =
      std::max(kCudaScoreBytes, rounded(heads * row * 4)) + 2 * rounded(n * heads * 4);
  // Of each of the 8 draws of a launch: a key of 8 bytes per token, and as if every token had a
  // change of its logit and a bias of its own; bins and states.
  const int64_t draws = 8 * (rounded(c.vocab_size * (8 + 24 + 8)) + (int64_t{1} << 20));
  const int64_t most = std::max({projections, mixing, joined, mixture, scores, draws});
  return rounded(most + most / 8);  // with a reserve
}

}  // namespace ds4::ops
