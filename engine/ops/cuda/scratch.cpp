// Scratch memory of the CUDA back end from the sizes of a model; host arithmetic in every build.
#include <algorithm>

#include "engine/ops/cuda/estimate.h"

namespace ds4::ops {

int64_t cuda_scratch_bytes(const weights::ModelConfig& c, int rows, Precision precision) {
  const int64_t n = rows;
  const int64_t value = cuda_value_bytes(precision);
  const int64_t d = c.hidden_size;
  const int64_t streams = int64_t{c.hc_mult} * d;
  const int64_t heads = int64_t{c.num_attention_heads} * c.head_dim;
  // Activations as the products read them: two bytes and a scale per 128 values, or f32.
  // At most seven products of one x each have theirs.
  const int64_t widest = std::max({streams, heads, int64_t{c.o_groups} * c.o_lora_rank, 7 * d});
  const int64_t projections = n * widest * 4;
  const int64_t mixing = n * (streams / 512 + 1) * (c.hc_rows() + 1) * 4;
  const auto stack = [&](int64_t count, int64_t inter) {
    return count * (3 * inter * value + inter * 4 + d * value) + n * d * 8;
  };
  const int64_t experts = stack(n * c.num_experts_per_tok, c.moe_intermediate_size) +
                          stack(n, c.shared_intermediate_size());
  const int64_t scores = kCudaScoreBytes + n * c.num_attention_heads * 4;
  const int64_t most = std::max({projections, mixing, experts, scores});
  return most + most / 8;  // the arena grows with this reserve
}

}  // namespace ds4::ops
