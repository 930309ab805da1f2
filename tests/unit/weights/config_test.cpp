// config.json: the real one, defaults, other names, and every refusal with its message.
#include "engine/weights/config.h"

#include <gtest/gtest.h>

#include <ostream>

#include "engine/base/files.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

using nlohmann::json;

TEST(Config, ReadsTheRealFile) {
  const auto shared = shared_folder();
  if (shared.empty()) GTEST_SKIP() << "no ../shared (set DS4_SHARED)";
  const ModelConfig config = read_config(shared / "spec" / "real-headers");
  EXPECT_EQ(config.num_hidden_layers, 43);
  EXPECT_EQ(config.hidden_size, 4096);
  EXPECT_EQ(config.vocab_size, 129280);
  ASSERT_EQ(config.compress_ratios.size(), 43u);  // the file lists 46
  EXPECT_EQ(config.compress_ratios[1], 0);
  EXPECT_EQ(config.compress_ratios[2], 4);
  EXPECT_EQ(config.compress_ratios[41], 128);
  EXPECT_EQ(config.max_position_embeddings, 1048576);
  ASSERT_TRUE(config.rope_scaling.has_value());
  EXPECT_EQ(config.rope_scaling->factor, 16);
  EXPECT_EQ(config.rope_scaling->original_context, 65536);
  EXPECT_EQ(config.hc_rows(), 24);
  EXPECT_EQ(config.dspark_target_layer_ids, (std::vector<int>{40, 41, 42}));
  EXPECT_EQ(config.dspark_block_size, 5);
  EXPECT_EQ(config.dspark_noise_token_id, 128799);
  EXPECT_DOUBLE_EQ(config.rms_norm_eps, 1e-6);
}

TEST(Config, AbsentOptionalKeysTakeTheirDefaults) {
  json config = TestModel().config;
  for (const char* key : {"model_type", "rope_scaling", "max_position_embeddings", "rms_norm_eps",
                          "n_routed_experts", "n_shared_experts", "scoring_func", "topk_method",
                          "norm_topk_prob", "hidden_act", "hc_eps", "num_nextn_predict_layers",
                          "tie_word_embeddings", "quantization_config", "num_key_value_heads"}) {
    config.erase(key);
  }
  const ModelConfig parsed = parse_config(config.dump());
  EXPECT_FALSE(parsed.rope_scaling.has_value());
  EXPECT_TRUE(parsed.norm_topk_prob);
  EXPECT_EQ(parsed.n_shared_experts, 1);
  EXPECT_DOUBLE_EQ(parsed.hc_eps, 1e-6);
  EXPECT_EQ(parsed.max_position_embeddings, 1048576);
}

// Whatever stands behind the backbone's 43 belongs to MTP blocks.
TEST(Config, TakesRatiosOfTheBackboneWhateverFollows) {
  json config = TestModel().config;
  config["num_hidden_layers"] = 43;
  json ratios = {0, 0};
  for (int layer = 2; layer < 43; ++layer) ratios.push_back(layer % 2 == 0 ? 4 : 128);
  for (const size_t entries : {size_t{43}, size_t{44}, size_t{46}}) {
    while (ratios.size() < entries) ratios.push_back(0);
    config["compress_ratios"] = ratios;
    const ModelConfig parsed = parse_config(config.dump());
    ASSERT_EQ(parsed.compress_ratios.size(), 43u) << entries;
    EXPECT_EQ(parsed.compress_ratios[42], 4);
  }
  ratios.erase(ratios.begin() + 42, ratios.end());
  config["compress_ratios"] = ratios;
  EXPECT_NE(error_of([&] { parse_config(config.dump()); }).find("has 42 entries"),
            std::string::npos);
}

TEST(Config, UnknownKeysAreIgnored) {
  json config = TestModel().config;
  const ModelConfig before = parse_config(config.dump());
  config["reap_pruning"] = {{"kept_experts_per_layer", 160}, {"plan", json::array({1, "x"})}};
  config["architectures"] = {"DeepseekV4ForCausalLM"};
  config["expert_dtype"] = "fp4";
  config["transformers_version"] = nullptr;
  const ModelConfig after = parse_config(config.dump());
  EXPECT_EQ(after.n_routed_experts, before.n_routed_experts);
  EXPECT_EQ(after.compress_ratios, before.compress_ratios);
}

TEST(Config, IndexerKeysAreNeededOnlyWithARatioOfFour) {
  json config = TestModel().config;
  for (const char* key : {"index_n_heads", "index_head_dim", "index_topk"}) config.erase(key);
  EXPECT_NE(error_of([&] { parse_config(config.dump()); }).find("index_n_heads"),
            std::string::npos);
  config["compress_ratios"] = {0, 2, 100};
  EXPECT_EQ(parse_config(config.dump()).index_topk, 0);
}

TEST(Config, AcceptsTheReferencesOwnNames) {
  json config = TestModel().config;
  for (const auto& [key, other] :
       std::map<std::string, std::string>{{"num_hidden_layers", "n_layers"},
                                          {"hidden_size", "dim"},
                                          {"moe_intermediate_size", "moe_inter_dim"},
                                          {"sliding_window", "window_size"},
                                          {"routed_scaling_factor", "route_scale"},
                                          {"scoring_func", "score_func"}}) {
    config[other] = config[key];
    config.erase(key);
  }
  config.erase("rope_scaling");
  config["rope_factor"] = 16;
  config["original_seq_len"] = 65536;
  const ModelConfig parsed = parse_config(config.dump());
  EXPECT_EQ(parsed.hidden_size, 26);
  EXPECT_EQ(parsed.sliding_window, 5);
  EXPECT_EQ(parsed.rope_scaling->original_context, 65536);
}

TEST(Config, MissingKeysAreNamed) {
  for (const char* key : {"num_hidden_layers",
                          "hidden_size",
                          "vocab_size",
                          "num_attention_heads",
                          "head_dim",
                          "qk_rope_head_dim",
                          "q_lora_rank",
                          "o_groups",
                          "o_lora_rank",
                          "sliding_window",
                          "compress_ratios",
                          "index_head_dim",
                          "index_topk",
                          "rope_theta",
                          "compress_rope_theta",
                          "num_experts_per_tok",
                          "moe_intermediate_size",
                          "num_hash_layers",
                          "routed_scaling_factor",
                          "swiglu_limit",
                          "hc_mult",
                          "hc_sinkhorn_iters"}) {
    json config = TestModel().config;
    config.erase(key);
    const std::string error = error_of([&] { parse_config(config.dump(), "here/config.json"); });
    EXPECT_NE(error.find("here/config.json"), std::string::npos) << error;
    EXPECT_NE(error.find(std::string("`") + key + "`"), std::string::npos) << key << ": " << error;
    EXPECT_NE(error.find("missing"), std::string::npos) << error;
  }
}

struct BadValue {
  const char* pointer;  // JSON pointer into config.json
  const char* value;
  const char* named;  // must occur in the message
};

void PrintTo(const BadValue& bad, std::ostream* out) {
  *out << bad.pointer << " = " << bad.value;
}

class ConfigRefuses : public testing::TestWithParam<BadValue> {};

TEST_P(ConfigRefuses, TheValueByName) {
  json config = TestModel().config;
  config[json::json_pointer(GetParam().pointer)] = json::parse(GetParam().value);
  const std::string error = error_of([&] { parse_config(config.dump()); });
  EXPECT_NE(error.find(GetParam().named), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, ConfigRefuses,
    testing::Values(
        BadValue{"/hidden_size", "-3", "`hidden_size` is -3"},
        BadValue{"/hidden_size", "0", "`hidden_size` is 0"},
        BadValue{"/hidden_size", "4096.5", "whole number"},
        BadValue{"/hidden_size", "\"4096\"", "`hidden_size` is \"4096\""},
        BadValue{"/hidden_size", "9223372036854775807", "hidden_size"},
        BadValue{"/hidden_size", "18446744073709551615", "hidden_size"},
        BadValue{"/hidden_size", "[1]", "hidden_size"},
        BadValue{"/hidden_size", "true", "hidden_size"},
        BadValue{"/vocab_size", "4294967297", "vocab_size"},
        BadValue{"/num_hidden_layers", "1000000", "num_hidden_layers"},
        BadValue{"/num_hidden_layers", "5", "compress_ratios"},
        BadValue{"/num_nextn_predict_layers", "-1", "num_nextn_predict_layers"},
        BadValue{"/num_nextn_predict_layers", "\"1\"", "num_nextn_predict_layers"},
        BadValue{"/n_routed_experts", "0", "n_routed_experts"},
        BadValue{"/n_routed_experts", "160.0", "n_routed_experts"},
        BadValue{"/head_dim", "2", "qk_rope_head_dim"}, BadValue{"/qk_rope_head_dim", "3", "even"},
        BadValue{"/qk_rope_head_dim", "10", "index_head_dim"},
        BadValue{"/compress_ratios/1", "1", "compress_ratios[1]"},
        BadValue{"/compress_ratios/2", "-4", "compress_ratios[2]"},
        BadValue{"/compress_ratios/2", "\"x\"", "compress_ratios[2]"},
        BadValue{"/compress_ratios", "4", "compress_ratios"},
        BadValue{"/index_head_dim", "12", "power of two"},
        BadValue{"/num_experts_per_tok", "5", "n_routed_experts"},
        BadValue{"/o_groups", "3", "divisor"},
        BadValue{"/num_key_value_heads", "2", "num_key_value_heads"},
        BadValue{"/scoring_func", "\"softmax\"", "sqrtsoftplus"},
        BadValue{"/topk_method", "\"greedy\"", "noaux_tc"},
        BadValue{"/hidden_act", "\"gelu\"", "silu"},
        BadValue{"/model_type", "\"deepseek_v3\"", "deepseek_v4"},
        BadValue{"/model_type", "3", "deepseek_v4"},
        BadValue{"/tie_word_embeddings", "true", "tie_word_embeddings"},
        BadValue{"/attention_bias", "true", "attention_bias"},
        BadValue{"/norm_topk_prob", "1", "norm_topk_prob"},
        BadValue{"/num_hash_layers", "4", "num_hash_layers"},
        BadValue{"/rope_theta", "0", "rope_theta"}, BadValue{"/rope_theta", "\"a\"", "rope_theta"},
        BadValue{"/rms_norm_eps", "-1e-6", "rms_norm_eps"},
        BadValue{"/swiglu_limit", "0", "swiglu_limit"},
        BadValue{"/rope_scaling/type", "\"linear\"", "rope_scaling.type"},
        BadValue{"/rope_scaling/factor", "0.5", "rope_scaling.factor"},
        BadValue{"/rope_scaling/factor", "null", "rope_scaling.factor"},
        BadValue{"/rope_scaling", "16", "rope_scaling"}, BadValue{"/hc_mult", "1000", "hc_mult"},
        BadValue{"/hc_sinkhorn_iters", "0", "hc_sinkhorn_iters"},
        BadValue{"/quantization_config/weight_block_size", "[64,64]", "weight_block_size"},
        BadValue{"/quantization_config/fmt", "\"e5m2\"", "quantization_config.fmt"},
        BadValue{"/quantization_config", "7", "quantization_config"},
        BadValue{"/dspark_target_layer_ids", "[3]", "dspark_target_layer_ids"},
        BadValue{"/dspark_noise_token_id", "17", "dspark_noise_token_id"},
        BadValue{"/dspark_noise_token_id", "3", "dspark_block_size"}));

TEST(Config, RefusesSizesWhoseProductIsAbsurd) {
  json config = TestModel().config;
  config["num_attention_heads"] = 1 << 20;
  config["head_dim"] = 1 << 20;
  const std::string error = error_of([&] { parse_config(config.dump()); });
  EXPECT_NE(error.find("`num_attention_heads` * `head_dim` is 1099511627776"), std::string::npos)
      << error;
}

TEST(Config, RefusesTextThatIsNoObject) {
  for (const char* text : {"", "{", "[]", "null", "{\"a\": 1e999}", "{\"a\": \"\xff\"}"}) {
    EXPECT_NE(error_of([&] { parse_config(text); }).find("config.json"), std::string::npos) << text;
  }
  EXPECT_NE(error_of([&] { parse_config(std::string(200000, '[')); }), "");
}

TEST(Config, MissingFileSaysWhatBelongsThere) {
  const TemporaryFolder folder;
  EXPECT_NE(error_of([&] { read_config(folder.path()); }).find("config.json"), std::string::npos);
}

}  // namespace
}  // namespace ds4::weights
