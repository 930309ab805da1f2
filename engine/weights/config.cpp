#include "engine/weights/config.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/weights/config_reader.h"
#include "engine/weights/source.h"
#include "engine/weights/synthetic/layout.h"

namespace ds4::weights {
namespace {

using nlohmann::json;

// Far above any real model, low enough that no size computed from two keys leaves 32 bits.
constexpr int64_t kMaxSize = 1 << 20;
constexpr int64_t kMaxVocabulary = 1 << 26;
constexpr int64_t kMaxProduct = 1 << 30;
constexpr int64_t kMaxConfigBytes = 16 << 20;

int size_key(const ConfigReader& reader, const char* key) {
  return static_cast<int>(reader.integer(key, 1, kMaxSize));
}

void check_product(const ConfigReader& reader, const char* a_key, int64_t a, const char* b_key,
                   int64_t b) {
  if (a * b <= kMaxProduct) return;
  reader.fail(std::string("`") + a_key + "` * `" + b_key + "` is " + std::to_string(a * b) +
                  "; it must not exceed " + std::to_string(kMaxProduct),
              "Correct the two keys.");
}

std::vector<int> parse_ratios(const ConfigReader& reader, int n_layers) {
  const json& list = reader.require("compress_ratios");
  if (!list.is_array() || list.size() < static_cast<size_t>(n_layers)) {
    reader.fail("`compress_ratios` " +
                    (list.is_array() ? "has " + std::to_string(list.size()) + " entries"
                                     : std::string("is no list")) +
                    "; `num_hidden_layers` asks for at least " + std::to_string(n_layers),
                "Give one ratio per layer: 0 (window only), 4 or a larger block.");
  }
  std::vector<int> ratios;
  // Entries beyond the backbone belong to MTP blocks, which are always window-only.
  for (int layer = 0; layer < n_layers; ++layer) {
    const std::string key = "compress_ratios[" + std::to_string(layer) + "]";
    const int64_t ratio = reader.integer_value(list[layer], key, 0, kMaxSize);
    if (ratio == 1) reader.fail(key, list[layer], "0 (window only), or 2 and more");
    ratios.push_back(static_cast<int>(ratio));
  }
  return ratios;
}

void parse_attention(const ConfigReader& reader, ModelConfig* config) {
  config->num_attention_heads = size_key(reader, "num_attention_heads");
  config->head_dim = size_key(reader, "head_dim");
  config->qk_rope_head_dim = size_key(reader, "qk_rope_head_dim");
  config->q_lora_rank = size_key(reader, "q_lora_rank");
  config->o_groups = size_key(reader, "o_groups");
  config->o_lora_rank = size_key(reader, "o_lora_rank");
  config->sliding_window = size_key(reader, "sliding_window");
  reader.integer_or("num_key_value_heads", 1, 1, 1);
  reader.expect_bool("attention_bias", false);

  if (config->qk_rope_head_dim % 2 != 0) {
    reader.fail("qk_rope_head_dim", json(config->qk_rope_head_dim), "even: dims rotate in pairs");
  }
  if (config->qk_rope_head_dim > config->head_dim) {
    reader.fail("head_dim", json(config->head_dim),
                "at least `qk_rope_head_dim` (" + std::to_string(config->qk_rope_head_dim) + ")");
  }
  if (config->num_attention_heads % config->o_groups != 0) {
    reader.fail(
        "o_groups", json(config->o_groups),
        "a divisor of `num_attention_heads` (" + std::to_string(config->num_attention_heads) + ")");
  }
  check_product(reader, "num_attention_heads", config->num_attention_heads, "head_dim",
                config->head_dim);
  check_product(reader, "o_groups", config->o_groups, "o_lora_rank", config->o_lora_rank);
}

void parse_compression(const ConfigReader& reader, ModelConfig* config) {
  config->compress_ratios = parse_ratios(reader, config->num_hidden_layers);
  const bool needs_indexer = config->has_csa_layer();
  if (needs_indexer || reader.find("index_n_heads")) {
    config->index_n_heads = size_key(reader, "index_n_heads");
    config->index_head_dim = size_key(reader, "index_head_dim");
    config->index_topk = size_key(reader, "index_topk");
    check_product(reader, "index_n_heads", config->index_n_heads, "index_head_dim",
                  config->index_head_dim);
  }
  if (!needs_indexer) return;
  if (!std::has_single_bit(static_cast<unsigned>(config->index_head_dim))) {
    reader.fail("index_head_dim", json(config->index_head_dim),
                "a power of two: indexer vectors pass a Hadamard transform");
  }
  if (config->index_head_dim < config->qk_rope_head_dim) {
    reader.fail("index_head_dim", json(config->index_head_dim),
                "at least `qk_rope_head_dim` (" + std::to_string(config->qk_rope_head_dim) + ")");
  }
}

// rope_scaling, or the two flat keys of the reference's own inference config.
std::optional<Yarn> parse_yarn(const ConfigReader& reader, const std::string& file) {
  Yarn yarn;
  const json* scaling = reader.find("rope_scaling");
  if (!scaling) {
    if (!reader.find("rope_factor")) return std::nullopt;
    yarn.factor = reader.number("rope_factor", 1, true);
    yarn.original_context = reader.integer("original_seq_len", 1, int64_t{1} << 40);
    yarn.beta_fast = reader.number_or("beta_fast", yarn.beta_fast, 0);
    yarn.beta_slow = reader.number_or("beta_slow", yarn.beta_slow, 0);
    return yarn;
  }
  if (!scaling->is_object()) reader.fail("rope_scaling", *scaling, "an object or null");
  const ConfigReader nested(*scaling, file, "rope_scaling.");
  const char* type_key = nested.find("type") ? "type" : "rope_type";
  nested.require(type_key);
  nested.expect_text(type_key, "yarn");
  yarn.factor = nested.number("factor", 1, true);
  yarn.original_context = nested.integer("original_max_position_embeddings", 1, int64_t{1} << 40);
  yarn.beta_fast = nested.number_or("beta_fast", yarn.beta_fast, 0);
  yarn.beta_slow = nested.number_or("beta_slow", yarn.beta_slow, 0);
  return yarn;
}

void parse_rotation(const ConfigReader& reader, const std::string& file, ModelConfig* config) {
  const bool compresses = std::any_of(config->compress_ratios.begin(),
                                      config->compress_ratios.end(), [](int r) { return r != 0; });
  config->rope_theta = reader.number("rope_theta", 1);
  config->compress_rope_theta =
      compresses ? reader.number("compress_rope_theta", 1)
                 : reader.number_or("compress_rope_theta", config->rope_theta, 1);
  config->rope_scaling = parse_yarn(reader, file);
}

void parse_experts(const ConfigReader& reader, ModelConfig* config) {
  config->n_routed_experts =
      static_cast<int>(reader.integer_or("n_routed_experts", 0, 1, kMaxSize));
  config->num_experts_per_tok = size_key(reader, "num_experts_per_tok");
  config->n_shared_experts =
      static_cast<int>(reader.integer_or("n_shared_experts", 1, 1, kMaxSize));
  config->moe_intermediate_size = size_key(reader, "moe_intermediate_size");
  config->num_hash_layers =
      static_cast<int>(reader.integer("num_hash_layers", 0, config->num_hidden_layers));
  config->norm_topk_prob = reader.boolean_or("norm_topk_prob", true);
  config->routed_scaling_factor = reader.number("routed_scaling_factor", 0);
  config->swiglu_limit = reader.number("swiglu_limit", 0);
  reader.expect_text("scoring_func", "sqrtsoftplus");
  reader.expect_text("topk_method", "noaux_tc");
  reader.expect_text("hidden_act", "silu");

  if (config->n_routed_experts != 0 && config->num_experts_per_tok > config->n_routed_experts) {
    reader.fail("num_experts_per_tok", json(config->num_experts_per_tok),
                "at most `n_routed_experts` (" + std::to_string(config->n_routed_experts) + ")");
  }
  check_product(reader, "n_shared_experts", config->n_shared_experts, "moe_intermediate_size",
                config->moe_intermediate_size);
}

void parse_hyper_connections(const ConfigReader& reader, ModelConfig* config) {
  config->hc_mult = static_cast<int>(reader.integer("hc_mult", 1, 64));
  config->hc_sinkhorn_iters = static_cast<int>(reader.integer("hc_sinkhorn_iters", 1, 10000));
  config->hc_eps = reader.number_or("hc_eps", 1e-6, 0, true);
  check_product(reader, "hc_mult", config->hc_mult, "hidden_size", config->hidden_size);
}

// Block sizes and element types are part of the formats; a file that names others is another
// format.
void check_quantisation(const ConfigReader& reader, const std::string& file) {
  const json* quantisation = reader.find("quantization_config");
  if (!quantisation) return;
  if (!quantisation->is_object()) {
    reader.fail("quantization_config", *quantisation, "an object or null");
  }
  const ConfigReader nested(*quantisation, file, "quantization_config.");
  nested.expect_text("quant_method", "fp8");
  nested.expect_text("fmt", "e4m3");
  nested.expect_text("scale_fmt", "ue8m0");
  const json* block = nested.find("weight_block_size");
  if (block && *block != json::array({128, 128})) {
    nested.fail("weight_block_size", *block, "[128,128]", "Nothing else is implemented.");
  }
}

void parse_mtp(const ConfigReader& reader, ModelConfig* config) {
  config->num_nextn_predict_layers =
      static_cast<int>(reader.integer_or("num_nextn_predict_layers", 0, 0, kMaxSize));
  config->dspark_markov_rank =
      static_cast<int>(reader.integer_or("dspark_markov_rank", 0, 1, kMaxSize));
  // Without its noise token a block cannot be filled: both keys or neither.
  if (reader.find("dspark_noise_token_id")) {
    config->dspark_noise_token_id =
        static_cast<int>(reader.integer("dspark_noise_token_id", 0, config->vocab_size - 1));
    config->dspark_block_size = static_cast<int>(reader.integer("dspark_block_size", 1, 7));
  }
  const json* targets = reader.find("dspark_target_layer_ids");
  if (!targets) return;
  if (!targets->is_array()) reader.fail("dspark_target_layer_ids", *targets, "a list of layers");
  for (const json& layer : *targets) {
    config->dspark_target_layer_ids.push_back(static_cast<int>(
        reader.integer_value(layer, "dspark_target_layer_ids", 0, config->num_hidden_layers - 1)));
  }
  check_product(reader, "hidden_size", config->hidden_size, "dspark_target_layer_ids",
                static_cast<int64_t>(targets->size()));
}

}  // namespace

bool ModelConfig::has_csa_layer() const {
  return std::any_of(compress_ratios.begin(), compress_ratios.end(), is_csa);
}

ModelConfig parse_config(const std::string& text, const std::string& file) {
  json object;
  try {
    object = json::parse(text);
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kCheckpoint, file + ": not valid JSON: " + error.what(),
                "Download or export the file again.");
  }
  const ConfigReader reader(object, file);
  if (!object.is_object()) {
    reader.fail("the file does not hold a JSON object", "Download or export the file again.");
  }
  ModelConfig config;
  reader.expect_text("model_type", "deepseek_v4");
  reader.expect_bool("tie_word_embeddings", false);
  config.num_hidden_layers = static_cast<int>(reader.integer("num_hidden_layers", 1, 4096));
  config.hidden_size = size_key(reader, "hidden_size");
  config.vocab_size = static_cast<int>(reader.integer("vocab_size", 1, kMaxVocabulary));
  config.max_position_embeddings = reader.integer_or(
      "max_position_embeddings", config.max_position_embeddings, 1, int64_t{1} << 40);
  config.rms_norm_eps = reader.number_or("rms_norm_eps", config.rms_norm_eps, 0);
  parse_attention(reader, &config);
  parse_compression(reader, &config);
  parse_rotation(reader, file, &config);
  parse_experts(reader, &config);
  parse_hyper_connections(reader, &config);
  parse_mtp(reader, &config);
  config.synthetic = reader.text_or("ds4_synthetic", "");
  check_quantisation(reader, file);
  return config;
}

ModelConfig read_config(const std::filesystem::path& checkpoint) {
  const Source source = resolve_source(checkpoint);
  if (source.synthetic) {
    return parse_config(synthetic::config_text(*source.synthetic), checkpoint.string());
  }
  const std::filesystem::path path = source.directory / "config.json";
  std::string text;
  try {
    text = read_file(path, kMaxConfigBytes);
  } catch (const Error& error) {
    throw Error(ErrorCode::kCheckpoint, error.what(),
                "A checkpoint directory holds config.json beside its *.safetensors files.");
  }
  return parse_config(text, path.string());
}

}  // namespace ds4::weights
