#include "engine/weights/synthetic/layout.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "engine/base/check.h"
#include "engine/weights/config.h"
#include "engine/weights/matrix.h"

namespace ds4::weights::synthetic {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kFp4Rms = 2.926;    // of Fill::kFp4Pairs
constexpr double kFp8Rms = 1.689;    // of Fill::kFp8
constexpr double kScaleRms = 0.791;  // sqrt((1 + 1/4) / 2): kScale halves every other block

// The released model's values of model.md 1.1.
Json flash_config() {
  return {{"architectures", {"DeepseekV4ForCausalLM"}},
          {"model_type", "deepseek_v4"},
          {"num_hidden_layers", 43},
          {"hidden_size", 4096},
          {"vocab_size", 129280},
          {"max_position_embeddings", 1048576},
          {"tie_word_embeddings", false},
          {"torch_dtype", "bfloat16"},
          {"bos_token_id", 0},
          {"eos_token_id", 1},
          {"num_attention_heads", 64},
          {"num_key_value_heads", 1},
          {"head_dim", 512},
          {"qk_rope_head_dim", 64},
          {"q_lora_rank", 1024},
          {"o_groups", 8},
          {"o_lora_rank", 1024},
          {"sliding_window", 128},
          {"compress_ratios", Json::array()},
          {"index_n_heads", 64},
          {"index_head_dim", 128},
          {"index_topk", 512},
          {"rope_theta", 10000},
          {"compress_rope_theta", 160000},
          {"rope_scaling",
           {{"type", "yarn"},
            {"factor", 16},
            {"original_max_position_embeddings", 65536},
            {"beta_fast", 32},
            {"beta_slow", 1}}},
          {"rms_norm_eps", 1e-6},
          {"n_routed_experts", 256},
          {"num_experts_per_tok", 6},
          {"n_shared_experts", 1},
          {"moe_intermediate_size", 2048},
          {"num_hash_layers", 3},
          {"scoring_func", "sqrtsoftplus"},
          {"topk_method", "noaux_tc"},
          {"norm_topk_prob", true},
          {"routed_scaling_factor", 1.5},
          {"swiglu_limit", 10.0},
          {"hidden_act", "silu"},
          {"hc_mult", 4},
          {"hc_sinkhorn_iters", 20},
          {"hc_eps", 1e-6},
          {"expert_dtype", "fp4"},
          {"quantization_config",
           {{"quant_method", "fp8"},
            {"fmt", "e4m3"},
            {"activation_scheme", "dynamic"},
            {"scale_fmt", "ue8m0"},
            {"weight_block_size", {128, 128}}}},
          {"num_nextn_predict_layers", 1},
          {"attention_bias", false},
          {"attention_dropout", 0.0}};
}

void make_micro(Json& config) {
  config["hidden_size"] = 256;
  config["num_attention_heads"] = 4;
  config["head_dim"] = 128;
  config["q_lora_rank"] = 128;
  config["o_groups"] = 2;
  config["o_lora_rank"] = 128;
  config["index_n_heads"] = 2;
  config["index_topk"] = 16;
  config["moe_intermediate_size"] = 128;
}

class Builder {
 public:
  explicit Builder(const Spec& spec)
      : config_(parse_config(config_text(spec))), spec_(spec), experts_(spec.n_experts) {}

  std::vector<Tensor> build() {
    const int64_t hidden = config_.hidden_size;
    const int64_t vocab = config_.vocab_size;
    plain("embed.weight", Dtype::kBF16, {vocab, hidden}, 1);
    for (int l = 0; l < config_.num_hidden_layers; ++l) {
      ++shard_;
      layer("layers." + std::to_string(l) + ".", config_.compress_ratios[l],
            config_.is_hash_layer(l));
    }
    ++shard_;
    matrix_like("head.weight", vocab, hidden, 2);
    norm("norm.weight", hidden);
    head_mix("");
    ++shard_;
    mtp();
    std::stable_sort(tensors_.begin(), tensors_.end(), [](const Tensor& a, const Tensor& b) {
      return std::make_tuple(a.shard, dtype_rank(a.dtype), std::string_view(a.name)) <
             std::make_tuple(b.shard, dtype_rank(b.dtype), std::string_view(b.name));
    });
    return std::move(tensors_);
  }

 private:
  static int dtype_rank(Dtype dtype) {
    constexpr Dtype kOrder[] = {Dtype::kI64,    Dtype::kF32,    Dtype::kBF16,
                                Dtype::kF8E8M0, Dtype::kF8E4M3, Dtype::kI8};
    return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), dtype) - kOrder);
  }

  void add(const std::string& name, Dtype dtype, std::vector<int64_t> shape, Recipe recipe) {
    recipe.key = tensor_key(spec_.seed, name.data(), name.size());
    tensors_.push_back({name, dtype, std::move(shape), shard_, recipe});
  }

  // Uniform in centre +- 2^exponent; the steps of that, 2^(exponent-23), must be normal floats.
  void plain(const std::string& name, Dtype dtype, std::vector<int64_t> shape, int exponent,
             float centre = 0) {
    DS4_CHECK(exponent > -103);
    const Fill fill = dtype == Dtype::kBF16 ? Fill::kUniformBf16 : Fill::kUniformF32;
    add(name, dtype, std::move(shape), {.fill = fill, .exponent = exponent, .centre = centre});
  }
  void norm(const std::string& name, int64_t size) { plain(name, Dtype::kBF16, {size}, -3, 1); }

  // The power of two nearest to what turns inputs of rms 1 into outputs of rms `gain`.
  static int exponent_for(double gain, double rms, int64_t cols) {
    return static_cast<int>(
        std::lround(std::log2(gain / (rms * std::sqrt(static_cast<double>(cols))))));
  }
  void matrix_like(const std::string& name, int64_t rows, int64_t cols, double gain) {
    plain(name, Dtype::kBF16, {rows, cols}, exponent_for(gain, 1 / std::sqrt(3.0), cols));
  }
  void fp8(const std::string& name, int64_t rows, int64_t cols, double gain = 1) {
    add(name + ".weight", Dtype::kF8E4M3, {rows, cols}, {.fill = Fill::kFp8});
    add(name + ".scale", Dtype::kF8E8M0, {ceil_div(rows, kFp8Block), ceil_div(cols, kFp8Block)},
        {.fill = Fill::kScale, .exponent = exponent_for(gain, kFp8Rms * kScaleRms, cols)});
  }
  void fp4(const std::string& name, int64_t rows, int64_t cols, double gain = 1) {
    add(name + ".weight", Dtype::kI8, {rows, cols / 2}, {.fill = Fill::kFp4Pairs});
    add(name + ".scale", Dtype::kF8E8M0, {rows, ceil_div(cols, kFp4Block)},
        {.fill = Fill::kScale, .exponent = exponent_for(gain, kFp4Rms * kScaleRms, cols)});
  }
  static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

  void hyper_connection(const std::string& prefix) {
    const int64_t rows = config_.hc_rows();
    const int64_t width = int64_t{config_.hc_mult} * config_.hidden_size;
    plain(prefix + "_fn", Dtype::kF32, {rows, width}, exponent_for(0.5, 1 / std::sqrt(3.0), width));
    plain(prefix + "_base", Dtype::kF32, {rows}, -1);
    plain(prefix + "_scale", Dtype::kF32, {3}, -2, 1);
  }
  void head_mix(const std::string& prefix) {
    const int64_t rows = config_.hc_mult;
    const int64_t width = rows * config_.hidden_size;
    plain(prefix + "hc_head_fn", Dtype::kF32, {rows, width},
          exponent_for(0.5, 1 / std::sqrt(3.0), width));
    plain(prefix + "hc_head_base", Dtype::kF32, {rows}, -1);
    plain(prefix + "hc_head_scale", Dtype::kF32, {1}, -2, 1);
  }

  void compressor(const std::string& prefix, int ratio, int row_dim) {
    const int64_t width = ModelConfig::compressor_width(ratio, row_dim);
    plain(prefix + "ape", Dtype::kF32, {ratio, width}, 0);
    matrix_like(prefix + "wkv.weight", width, config_.hidden_size, 1);
    matrix_like(prefix + "wgate.weight", width, config_.hidden_size, 1);
    norm(prefix + "norm.weight", row_dim);
  }

  void attention(const std::string& prefix, int ratio) {
    const int64_t hidden = config_.hidden_size;
    const int64_t rank = config_.q_lora_rank;
    const int64_t q_size = int64_t{config_.num_attention_heads} * config_.head_dim;
    const int64_t o_size = int64_t{config_.o_groups} * config_.o_lora_rank;
    plain(prefix + "attn_sink", Dtype::kF32, {config_.num_attention_heads}, 0);
    norm(prefix + "q_norm.weight", rank);
    norm(prefix + "kv_norm.weight", config_.head_dim);
    fp8(prefix + "wq_a", rank, hidden);
    fp8(prefix + "wq_b", q_size, rank);
    fp8(prefix + "wkv", config_.head_dim, hidden);
    fp8(prefix + "wo_a", o_size, q_size / config_.o_groups);
    fp8(prefix + "wo_b", hidden, o_size, kOutputGain);
    if (ratio != 0) compressor(prefix + "compressor.", ratio, config_.head_dim);
    if (!ModelConfig::is_csa(ratio)) return;
    fp8(prefix + "indexer.wq_b", int64_t{config_.index_n_heads} * config_.index_head_dim, rank);
    matrix_like(prefix + "indexer.weights_proj.weight", config_.index_n_heads, hidden, 1);
    compressor(prefix + "indexer.compressor.", ratio, config_.index_head_dim);
  }

  void moe(const std::string& prefix, bool hashed) {
    const int64_t hidden = config_.hidden_size;
    const int64_t inner = config_.moe_intermediate_size;
    const int64_t shared = config_.shared_intermediate_size();
    matrix_like(prefix + "gate.weight", experts_, hidden, 1);
    if (hashed) {
      const int chosen = config_.num_experts_per_tok;
      add(prefix + "gate.tid2eid", Dtype::kI64, {config_.vocab_size, chosen},
          {.fill = Fill::kExpertIds, .n_experts = experts_, .n_chosen = chosen});
    } else {
      // Equal biases: the scores of like-distributed rows alone decide.
      plain(prefix + "gate.bias", Dtype::kF32, {experts_}, kNoSpread);
    }
    for (int e = 0; e < experts_; ++e) {
      const std::string expert = prefix + "experts." + std::to_string(e) + ".";
      fp4(expert + "w1", inner, hidden);
      fp4(expert + "w3", inner, hidden);
      fp4(expert + "w2", hidden, inner, kOutputGain);
    }
    fp8(prefix + "shared_experts.w1", shared, hidden);
    fp8(prefix + "shared_experts.w3", shared, hidden);
    fp8(prefix + "shared_experts.w2", hidden, shared, kOutputGain);
  }

  void layer(const std::string& prefix, int ratio, bool hashed) {
    norm(prefix + "attn_norm.weight", config_.hidden_size);
    norm(prefix + "ffn_norm.weight", config_.hidden_size);
    hyper_connection(prefix + "hc_attn");
    hyper_connection(prefix + "hc_ffn");
    attention(prefix + "attn.", ratio);
    moe(prefix + "ffn.", hashed);
  }

  // The classic block of the April release (model.md 5.1).
  void mtp() {
    const int64_t hidden = config_.hidden_size;
    layer("mtp.0.", /*ratio=*/0, /*hashed=*/false);
    fp8("mtp.0.e_proj", hidden, hidden, kMtpGain);
    fp8("mtp.0.h_proj", hidden, hidden, kMtpGain);
    for (const char* name : {"mtp.0.enorm.weight", "mtp.0.hnorm.weight", "mtp.0.norm.weight"}) {
      norm(name, hidden);
    }
    head_mix("mtp.0.");
  }

  // Sublayer outputs small beside the embedding's rms of 1.15: over 86 sublayers the streams stay
  // of order 1 and keep what tells tokens apart, on which an even use of the experts rests.
  static constexpr double kOutputGain = 0.125;
  static constexpr double kMtpGain = 0.75;  // two of them are added
  static constexpr int kNoSpread = -100;    // zero beside any score

  const ModelConfig config_;
  const Spec spec_;
  const int experts_;
  int shard_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace

int64_t Tensor::bytes() const {
  int64_t total = dtype_bytes(dtype);
  for (const int64_t size : shape) total *= size;
  return total;
}

std::string config_text(const Spec& spec) {
  Json config = flash_config();
  if (spec.shape == Shape::kMicro) make_micro(config);
  Json ratios = Json::array();
  for (int l = 0; l < spec.n_layers; ++l) {
    ratios.push_back(l < 2 ? 0 : l % 2 == 0 ? 4 : 128);  // model.md 1.2
  }
  ratios.push_back(0);  // mtp.0
  config["compress_ratios"] = std::move(ratios);
  config["num_hidden_layers"] = spec.n_layers;
  config["num_hash_layers"] = std::min(3, spec.n_layers);
  config["n_routed_experts"] = spec.n_experts;
  config["ds4_synthetic"] = spec.name();
  return config.dump(2) + "\n";
}

std::vector<Tensor> layout(const Spec& spec) {
  return Builder(spec).build();
}

}  // namespace ds4::weights::synthetic
