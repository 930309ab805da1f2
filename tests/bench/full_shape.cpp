#include "tests/bench/full_shape.h"

namespace ds4::bench {
namespace {
using Format = weights::Matrix::Format;

weights::ModelConfig flash_config() {
  weights::ModelConfig c;
  c.num_hidden_layers = 43;
  c.hidden_size = 4096;
  c.vocab_size = 129280;
  c.num_attention_heads = 64;
  c.head_dim = 512;
  c.qk_rope_head_dim = 64;
  c.q_lora_rank = 1024;
  c.o_groups = 8;
  c.o_lora_rank = 1024;
  c.sliding_window = 128;
  for (int l = 0; l < 43; ++l) c.compress_ratios.push_back(l < 2 ? 0 : l % 2 ? 128 : 4);
  c.index_n_heads = 64;
  c.index_head_dim = 128;
  c.index_topk = 512;
  c.rope_theta = 10000;
  c.compress_rope_theta = 160000;
  c.rope_scaling = weights::Yarn{16, 65536, 32, 1};
  c.num_experts_per_tok = 6;
  c.moe_intermediate_size = 2048;
  c.routed_scaling_factor = 1.5;
  c.swiglu_limit = 10;
  c.hc_mult = 4;
  c.hc_sinkhorn_iters = 20;
  return c;
}

class Maker {
 public:
  Maker(const weights::ModelConfig& config, int experts, FullShape& to)
      : c_(config), experts_(experts), to_(to) {}

  weights::Matrix matrix(Format format, int64_t rows, int64_t cols) {
    to_.matrices.push_back(test_support::random_matrix(random_, format, rows, cols));
    return to_.matrices.back().matrix;
  }
  std::vector<float> gain(int64_t n) {
    std::vector<float> g = random_.values(n, 0.5f);
    for (float& v : g) v += 1;
    return g;
  }
  weights::HyperConnection hyper_connection() {
    return {matrix(Format::kF32, c_.hc_rows(), int64_t{c_.hc_mult} * c_.hidden_size),
            random_.numbers(c_.hc_rows(), 1), random_.numbers(3, 0.1f)};
  }
  weights::HeadMix head_mix() {
    return {matrix(Format::kF32, c_.hc_mult, int64_t{c_.hc_mult} * c_.hidden_size),
            random_.numbers(c_.hc_mult, 1), random_.numbers(1, 0.1f)};
  }
  weights::Layer layer(int ratio) {
    const int64_t d = c_.hidden_size;
    const int64_t heads = int64_t{c_.num_attention_heads} * c_.head_dim;
    weights::Layer l;
    l.ratio = ratio;
    l.attn_norm = gain(d);
    l.ffn_norm = gain(d);
    l.hc_attn = hyper_connection();
    l.hc_ffn = hyper_connection();
    weights::Attention& a = l.attn;
    a.sink = random_.numbers(c_.num_attention_heads, 1);
    a.q_norm = gain(c_.q_lora_rank);
    a.kv_norm = gain(c_.head_dim);
    a.wq_a = matrix(Format::kFp8, c_.q_lora_rank, d);
    a.wq_b = matrix(Format::kFp8, heads, c_.q_lora_rank);
    a.wkv = matrix(Format::kFp8, c_.head_dim, d);
    a.wo_a = matrix(Format::kFp8, int64_t{c_.o_groups} * c_.o_lora_rank, heads / c_.o_groups);
    a.wo_b = matrix(Format::kFp8, d, int64_t{c_.o_groups} * c_.o_lora_rank);
    if (ratio) a.compressor = compressor(ratio, c_.head_dim);
    if (weights::ModelConfig::is_csa(ratio)) {
      const int64_t rows = int64_t{c_.index_n_heads} * c_.index_head_dim;
      a.indexer = weights::Indexer{matrix(Format::kFp8, rows, c_.q_lora_rank),
                                   matrix(Format::kBf16, c_.index_n_heads, d),
                                   compressor(ratio, c_.index_head_dim)};
    }
    l.ffn.gate = matrix(Format::kBf16, experts_, d);
    l.ffn.bias = random_.numbers(experts_, 0.1f);
    for (int e = 0; e < experts_; ++e) l.ffn.experts.push_back(expert(Format::kFp4));
    l.ffn.shared = expert(Format::kFp8);
    return l;
  }

 private:
  weights::Compressor compressor(int ratio, int dim) {
    weights::Compressor c;
    c.ratio = ratio;
    c.row_dim = dim;
    c.width = weights::ModelConfig::compressor_width(ratio, dim);
    c.ape = random_.numbers(int64_t{ratio} * c.width, 1);
    c.wkv = matrix(Format::kBf16, c.width, c_.hidden_size);
    c.wgate = matrix(Format::kBf16, c.width, c_.hidden_size);
    c.norm = gain(dim);
    return c;
  }
  weights::Expert expert(Format format) {
    const int64_t inter = c_.moe_intermediate_size;
    return {matrix(format, inter, c_.hidden_size), matrix(format, c_.hidden_size, inter),
            matrix(format, inter, c_.hidden_size)};
  }

  const weights::ModelConfig& c_;
  const int experts_;
  FullShape& to_;
  test_support::Random random_{11};
};

}  // namespace

FullShape make_full_shape(int experts, int sets) {
  FullShape model;
  weights::ModelWeights& w = model.weights;
  w.config = flash_config();
  Maker make(w.config, experts, model);
  w.embed = make.matrix(Format::kBf16, w.config.vocab_size, w.config.hidden_size);
  w.head = make.matrix(Format::kBf16, w.config.vocab_size, w.config.hidden_size);
  w.norm = make.gain(w.config.hidden_size);
  w.hc_head = make.head_mix();
  std::vector<weights::Layer> plain, csa, hca;
  for (int i = 0; i < sets; ++i) {
    if (i < 2) plain.push_back(make.layer(0));
    csa.push_back(make.layer(4));
    hca.push_back(make.layer(128));
  }
  size_t next = 0;
  for (const int ratio : w.config.compress_ratios) {
    const std::vector<weights::Layer>& kind = ratio == 0 ? plain : ratio == 4 ? csa : hca;
    w.layers.push_back(kind[next++ / 2 % kind.size()]);
  }
  return model;
}

}  // namespace ds4::bench
