// Scratch memory of the CPU back end, and how much of it a model needs.
#include <algorithm>
#include <new>

#include "engine/ops/cpu/backend.h"

namespace ds4::ops {
namespace cpu {
namespace {

// Growth keeps this much in reserve, so that slowly rising row counts do not reallocate each time.
int64_t grown(int64_t count) {
  return (count + count / 8 + 16 + 1023) / 1024 * 1024;
}

}  // namespace

float* Scratch::floats(int64_t count) {
  if (count > capacity_) {
    const int64_t bytes = grown(count) * static_cast<int64_t>(sizeof(float));
    data_.reset();
    data_.reset(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(bytes))));
    if (!data_) throw std::bad_alloc();
    capacity_ = grown(count) - 16;
  }
  return data_.get();
}

}  // namespace cpu

int64_t cpu_scratch_bytes(const weights::ModelConfig& config, int rows, int64_t context_length,
                          int threads) {
  using cpu::padded;
  const weights::ModelConfig& c = config;
  const int64_t n = rows;
  const int64_t pairs = n * c.num_experts_per_tok;
  int64_t widest = std::max<int64_t>({c.hidden_size, c.q_lora_rank, c.o_groups * c.o_lora_rank,
                                      int64_t{c.hc_mult} * c.hidden_size});
  const int64_t heads_values = int64_t{c.num_attention_heads} * c.head_dim;
  const int64_t prepared =
      n * std::max(padded(widest), c.head_dim % cpu::kPad ? heads_values * 2 : 0);

  // Attention decodes the window, the chunk and (HCA) all compressed rows once per chunk.
  int64_t shared_rows = c.sliding_window + n;
  int64_t most_compressed = 0;
  for (const int ratio : c.compress_ratios) {
    if (ratio && !c.is_csa(ratio)) most_compressed = context_length / ratio;
  }
  shared_rows += most_compressed;
  const int64_t attention = shared_rows * padded(c.head_dim);
  const int64_t inter =
      pairs * padded(c.moe_intermediate_size) + n * padded(c.shared_intermediate_size());
  // Outputs of experts, or of the projections in front of the MTP block.
  const int64_t outputs = std::max(pairs + n, n * c.hc_mult) * c.hidden_size;

  const int64_t selected = c.has_csa_layer() ? c.index_topk : 0;
  const int64_t keys = c.sliding_window + std::max(selected, most_compressed);
  const int64_t gather = c.num_attention_heads * padded(keys) + selected * padded(c.head_dim);
  const int64_t per_worker = std::max(cpu::kMatmulScratch, gather);
  return 4 * (cpu::grown(prepared) * 2 + cpu::grown(std::max(attention, inter)) +
              cpu::grown(2 * inter + outputs) +
              cpu::ThreadPool::count(threads) * cpu::grown(per_worker));
}

}  // namespace ds4::ops
