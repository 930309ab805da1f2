// config.json as the forward pass needs it: sizes, constants and layer kinds, checked. Expert
// counts are not here: each layer's router says how many it has (checkpoint structure,
// model.md 1.3).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ds4::weights {

/// rope_scaling of type yarn; applies to the layers with a ratio only, without magnitude scaling.
struct Yarn {
  double factor = 1;
  int64_t original_context = 0;
  double beta_fast = 32;
  double beta_slow = 1;
};

/// Keys of model.md 1.1 under their own names; the default is the value where a key may be absent.
/// Every count is at least 1 unless stated, and products such as heads * head_dim stay below 2^30.
struct ModelConfig {
  std::string model_type = "deepseek_v4";
  int num_hidden_layers = 0;
  int hidden_size = 0;
  int vocab_size = 0;
  int64_t max_position_embeddings = 1048576;

  int num_attention_heads = 0;
  int head_dim = 0;
  int qk_rope_head_dim = 0;  // even, at most head_dim (and index_head_dim where an indexer exists)
  int q_lora_rank = 0;
  int o_groups = 0;  // divides num_attention_heads
  int o_lora_rank = 0;
  int sliding_window = 0;
  std::vector<int> compress_ratios;  // [num_hidden_layers]; 0, or 2 and more
  int index_n_heads = 0;             // the three are 0 when absent and no layer has ratio 4
  int index_head_dim = 0;            // a power of two: keys pass a Hadamard transform
  int index_topk = 0;

  double rope_theta = 0;
  double compress_rope_theta = 0;
  std::optional<Yarn> rope_scaling;  // none: plain rotation everywhere
  double rms_norm_eps = 1e-6;

  int n_routed_experts = 0;  // informational, 0 when absent
  int num_experts_per_tok = 0;
  int n_shared_experts = 1;
  int moe_intermediate_size = 0;
  int num_hash_layers = 0;  // 0 .. num_hidden_layers
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  double swiglu_limit = 0;  // above 0

  int hc_mult = 0;
  int hc_sinkhorn_iters = 0;
  double hc_eps = 1e-6;

  int num_nextn_predict_layers = 0;          // informational: count the mtp tensors instead
  std::vector<int> dspark_target_layer_ids;  // empty in April checkpoints
  int dspark_markov_rank = 0;
  int dspark_block_size = 0;      // rows of a draft block, at most 7
  int dspark_noise_token_id = 0;  // fills the block behind its first token

  std::string synthetic;  // ds4_synthetic: the name of generated weights; empty for real ones

  /// Ratio-4 layers overlap neighbouring blocks and choose their rows with an indexer.
  static bool is_csa(int ratio) { return ratio == 4; }
  /// Columns of a compressor's wkv and wgate for rows of `row_dim` values.
  static int compressor_width(int ratio, int row_dim) {
    return is_csa(ratio) ? 2 * row_dim : row_dim;
  }
  bool is_hash_layer(int layer) const { return layer < num_hash_layers; }
  bool has_csa_layer() const;
  /// Rows of hc_attn_fn: pre, post and the stream matrix.
  int hc_rows() const { return hc_mult * (hc_mult + 2); }
  int shared_intermediate_size() const { return n_shared_experts * moe_intermediate_size; }
};

/// Parses and checks the text of a config.json. `file` is only named in errors.
/// Throws Error(kCheckpoint) with file, key, value and remedy.
ModelConfig parse_config(const std::string& text, const std::string& file = "config.json");

/// parse_config of the checkpoint's config.json; `checkpoint` is a folder or a name (source.h).
ModelConfig read_config(const std::filesystem::path& checkpoint);

}  // namespace ds4::weights
