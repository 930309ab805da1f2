#include "engine/weights/model_builder.h"

#include <charconv>
#include <string_view>

#include "engine/base/error.h"

namespace ds4::weights {
namespace {

// Bounds the memory that a router's row count can ask for.
constexpr int64_t kMaxExperts = 1 << 16;

// The number between `prefix` and the next dot, or -1.
int64_t number_after(std::string_view name, std::string_view prefix) {
  name.remove_prefix(prefix.size());
  const std::string_view digits = name.substr(0, name.find('.'));
  int64_t number = -1;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return result.ec == std::errc() && result.ptr == digits.data() + digits.size() ? number : -1;
}

}  // namespace

HyperConnection ModelBuilder::hyper_connection(const std::string& prefix) {
  const int64_t rows = config_.hc_rows();
  const int64_t width = int64_t{config_.hc_mult} * config_.hidden_size;
  return {.fn = reader_.plain_matrix(prefix + "_fn", rows, width),
          .base = reader_.floats(prefix + "_base", {rows}),
          .scale = reader_.floats(prefix + "_scale", {3})};
}

HeadMix ModelBuilder::head_mix(const std::string& prefix) {
  const int64_t rows = config_.hc_mult;
  return {.fn = reader_.plain_matrix(prefix + "hc_head_fn", rows, rows * config_.hidden_size),
          .base = reader_.floats(prefix + "hc_head_base", {rows}),
          .scale = reader_.floats(prefix + "hc_head_scale", {1})};
}

Compressor ModelBuilder::compressor(const std::string& prefix, int ratio, int row_dim) {
  const int width = ModelConfig::compressor_width(ratio, row_dim);
  const int64_t hidden = config_.hidden_size;
  return {.ratio = ratio,
          .row_dim = row_dim,
          .width = width,
          .ape = reader_.floats(prefix + "ape", {ratio, width}),
          .wkv = reader_.plain_matrix(prefix + "wkv.weight", width, hidden),
          .wgate = reader_.plain_matrix(prefix + "wgate.weight", width, hidden),
          .norm = reader_.floats(prefix + "norm.weight", {row_dim})};
}

Attention ModelBuilder::attention(const std::string& prefix, int ratio) {
  const int64_t hidden = config_.hidden_size;
  const int64_t q_size = int64_t{config_.num_attention_heads} * config_.head_dim;
  const int64_t o_size = int64_t{config_.o_groups} * config_.o_lora_rank;
  const int64_t rank = config_.q_lora_rank;
  Attention attention{.sink = reader_.floats(prefix + "attn_sink", {config_.num_attention_heads}),
                      .q_norm = reader_.floats(prefix + "q_norm.weight", {rank}),
                      .kv_norm = reader_.floats(prefix + "kv_norm.weight", {config_.head_dim}),
                      .wq_a = reader_.matrix(prefix + "wq_a", rank, hidden),
                      .wq_b = reader_.matrix(prefix + "wq_b", q_size, rank),
                      .wkv = reader_.matrix(prefix + "wkv", config_.head_dim, hidden),
                      .wo_a = reader_.matrix(prefix + "wo_a", o_size, q_size / config_.o_groups),
                      .wo_b = reader_.matrix(prefix + "wo_b", hidden, o_size),
                      .compressor = std::nullopt,
                      .indexer = std::nullopt};
  const std::string kind = "compress_ratios gives this layer " + std::to_string(ratio);
  if (ratio != 0) {
    attention.compressor = compressor(prefix + "compressor.", ratio, config_.head_dim);
  } else {
    reader_.expect_absent(prefix + "compressor.wkv.weight", kind);
  }
  if (!ModelConfig::is_csa(ratio)) {
    reader_.expect_absent(prefix + "indexer.wq_b.weight", kind);
    return attention;
  }
  const int64_t index_size = int64_t{config_.index_n_heads} * config_.index_head_dim;
  attention.indexer = Indexer{
      .wq_b = reader_.matrix(prefix + "indexer.wq_b", index_size, rank),
      .weights_proj = reader_.plain_matrix(prefix + "indexer.weights_proj.weight",
                                           config_.index_n_heads, hidden),
      .compressor = compressor(prefix + "indexer.compressor.", ratio, config_.index_head_dim)};
  return attention;
}

Expert ModelBuilder::expert(const std::string& prefix, int64_t intermediate_size) {
  return {.w1 = reader_.matrix(prefix + "w1", intermediate_size, config_.hidden_size),
          .w2 = reader_.matrix(prefix + "w2", config_.hidden_size, intermediate_size),
          .w3 = reader_.matrix(prefix + "w3", intermediate_size, config_.hidden_size)};
}

// The router's rows are the truth; an expert beyond them would never be chosen.
void ModelBuilder::check_expert_names(const std::string& prefix, int n_experts) {
  for (const TensorRef& tensor : reader_.checkpoint().with_prefix(prefix)) {
    const int64_t id = number_after(tensor.name, prefix);
    if (id < 0 || id >= n_experts) {
      reader_.fail(tensor, "does not belong to the " + std::to_string(n_experts) +
                               " experts that the layer's gate.weight has rows for");
    }
  }
}

Moe ModelBuilder::moe(const std::string& prefix, bool hashed) {
  const std::string gate = prefix + "gate.weight";
  const int64_t n_rows = reader_.rows_of(gate);
  if (n_rows > kMaxExperts || n_rows < config_.num_experts_per_tok) {
    reader_.fail(*reader_.checkpoint().find(gate),
                 "has rows for " + std::to_string(n_rows) + " experts; config.json's " +
                     "num_experts_per_tok is " + std::to_string(config_.num_experts_per_tok) +
                     " and the limit " + std::to_string(kMaxExperts));
  }
  const int n_experts = static_cast<int>(n_rows);
  Moe moe;
  moe.gate = reader_.plain_matrix(gate, n_experts, config_.hidden_size);
  if (hashed) {
    moe.tid2eid = reader_.id_table(prefix + "gate.tid2eid", config_.vocab_size,
                                   config_.num_experts_per_tok, n_experts);
  } else {
    moe.bias = reader_.floats(prefix + "gate.bias", {n_experts});
    reader_.expect_absent(prefix + "gate.tid2eid",
                          "num_hash_layers says that this layer routes by score");
  }
  check_expert_names(prefix + "experts.", n_experts);
  for (int id = 0; id < n_experts; ++id) {
    moe.experts.push_back(
        expert(prefix + "experts." + std::to_string(id) + ".", config_.moe_intermediate_size));
  }
  moe.shared = expert(prefix + "shared_experts.", config_.shared_intermediate_size());
  return moe;
}

Layer ModelBuilder::layer(const std::string& prefix, int ratio, bool hashed) {
  return {.ratio = ratio,
          .hashed = hashed,
          .attn_norm = reader_.floats(prefix + "attn_norm.weight", {config_.hidden_size}),
          .ffn_norm = reader_.floats(prefix + "ffn_norm.weight", {config_.hidden_size}),
          .hc_attn = hyper_connection(prefix + "hc_attn"),
          .hc_ffn = hyper_connection(prefix + "hc_ffn"),
          .attn = attention(prefix + "attn.", ratio),
          .ffn = moe(prefix + "ffn.", hashed)};
}

// A layer beyond num_hidden_layers would silently be left out of the model.
void ModelBuilder::check_layer_names() {
  for (const TensorRef& tensor : reader_.checkpoint().with_prefix("layers.")) {
    if (number_after(tensor.name, "layers.") >= config_.num_hidden_layers) {
      reader_.fail(tensor, "lies beyond config.json's num_hidden_layers, " +
                               std::to_string(config_.num_hidden_layers));
    }
  }
}

ModelWeights ModelBuilder::backbone() {
  ModelWeights model;
  model.config = config_;
  model.embed = reader_.plain_matrix("embed.weight", config_.vocab_size, config_.hidden_size);
  model.head = reader_.plain_matrix("head.weight", config_.vocab_size, config_.hidden_size);
  model.norm = reader_.floats("norm.weight", {config_.hidden_size});
  model.hc_head = head_mix("");
  check_layer_names();
  for (int l = 0; l < config_.num_hidden_layers; ++l) {
    model.layers.push_back(layer("layers." + std::to_string(l) + ".", config_.compress_ratios[l],
                                 config_.is_hash_layer(l)));
  }
  return model;
}

MtpFlavour ModelBuilder::mtp_flavour() const {
  const Checkpoint& checkpoint = reader_.checkpoint();
  if (checkpoint.find("mtp.0.e_proj.weight")) return MtpFlavour::kClassic;
  if (checkpoint.find("mtp.0.main_proj.weight")) return MtpFlavour::kDspark;
  const auto others = checkpoint.with_prefix("mtp.");
  if (others.empty()) return MtpFlavour::kNone;
  reader_.fail(others.front(),
               "belongs to an MTP block, yet neither mtp.0.e_proj.weight nor "
               "mtp.0.main_proj.weight says of which kind");
}

ClassicMtp ModelBuilder::classic_mtp() {
  const int64_t hidden = config_.hidden_size;
  for (const TensorRef& tensor : reader_.checkpoint().with_prefix("mtp.")) {
    if (number_after(tensor.name, "mtp.") != 0) {
      reader_.fail(tensor, "is a second MTP block; the classic kind has one");
    }
  }
  return {.block = layer("mtp.0.", /*ratio=*/0, /*hashed=*/false),
          .e_proj = reader_.matrix("mtp.0.e_proj", hidden, hidden),
          .h_proj = reader_.matrix("mtp.0.h_proj", hidden, hidden),
          .enorm = reader_.floats("mtp.0.enorm.weight", {hidden}),
          .hnorm = reader_.floats("mtp.0.hnorm.weight", {hidden}),
          .norm = reader_.floats("mtp.0.norm.weight", {hidden}),
          .hc_head = head_mix("mtp.0.")};
}

Dspark ModelBuilder::dspark() {
  const int64_t hidden = config_.hidden_size;
  // config.json counts one block where there are three, so the names decide.
  int64_t last = 0;
  for (const TensorRef& tensor : reader_.checkpoint().with_prefix("mtp.")) {
    last = std::max(last, number_after(tensor.name, "mtp."));
  }
  if (config_.dspark_target_layer_ids.empty() || config_.dspark_markov_rank == 0 ||
      config_.dspark_block_size == 0) {
    throw Error(ErrorCode::kCheckpoint,
                (reader_.checkpoint().directory() / "config.json").string() +
                    ": not all of `dspark_target_layer_ids`, `dspark_markov_rank`, "
                    "`dspark_block_size` and `dspark_noise_token_id` are there, but the checkpoint "
                    "holds mtp.0.main_proj.weight",
                "Take config.json from the same place as the weights.");
  }
  const int64_t n_targets = static_cast<int64_t>(config_.dspark_target_layer_ids.size());
  const int64_t rank = config_.dspark_markov_rank;
  const std::string prefix = "mtp." + std::to_string(last) + ".";
  Dspark dspark;
  for (int64_t block = 0; block <= last; ++block) {
    dspark.blocks.push_back(layer("mtp." + std::to_string(block) + ".", 0, false));
  }
  dspark.main_proj = reader_.matrix("mtp.0.main_proj", hidden, n_targets * hidden);
  dspark.main_norm = reader_.floats("mtp.0.main_norm.weight", {hidden});
  dspark.norm = reader_.floats(prefix + "norm.weight", {hidden});
  dspark.hc_head = head_mix(prefix);
  const std::string markov = prefix + "markov_head.markov_";
  dspark.markov_w1 = reader_.plain_matrix(markov + "w1.weight", config_.vocab_size, rank);
  dspark.markov_w2 = reader_.plain_matrix(markov + "w2.weight", config_.vocab_size, rank);
  reader_.plain_matrix(prefix + "confidence_head.proj.weight", 1, hidden + rank);
  return dspark;
}

}  // namespace ds4::weights
