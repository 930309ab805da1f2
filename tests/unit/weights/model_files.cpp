#include "tests/unit/weights/model_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include "tests/support/source_dir.h"

namespace ds4::weights {
namespace fs = std::filesystem;
using nlohmann::json;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "ds4-weights-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string raw_safetensors(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes += static_cast<char>((uint64_t{header.size()} >> (8 * i)) & 255);
  return bytes + header + data;
}

std::string safetensors_bytes(const StoredTensors& tensors, const json& metadata, size_t pad) {
  json header = json::object();
  if (!metadata.is_null()) header["__metadata__"] = metadata;
  std::string data(pad, '\xAA');
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  return raw_safetensors(header.dump(), data);
}

void write_text(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TestModel::TestModel() {
  config = json::parse(R"({
    "model_type": "deepseek_v4", "num_hidden_layers": 3, "hidden_size": 26, "vocab_size": 17,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 14, "qk_rope_head_dim": 4,
    "q_lora_rank": 10, "o_groups": 2, "o_lora_rank": 6, "sliding_window": 5,
    "compress_ratios": [0, 4, 6, 0], "index_n_heads": 2, "index_head_dim": 8, "index_topk": 3,
    "rope_theta": 10000, "compress_rope_theta": 160000,
    "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536,
                     "beta_fast": 32, "beta_slow": 1},
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "n_routed_experts": 4,
    "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 9,
    "num_hash_layers": 1, "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc",
    "norm_topk_prob": true, "routed_scaling_factor": 1.5, "swiglu_limit": 10.0,
    "hidden_act": "silu", "hc_mult": 2, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6,
    "num_nextn_predict_layers": 1, "tie_word_embeddings": false,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0",
                            "weight_block_size": [128, 128]}})");
  add("embed.weight", "BF16", {17, 26});
  add("head.weight", "BF16", {17, 26});
  add("norm.weight", "BF16", {26});
  add_head_mix("");
  add_layer("layers.0.", 0, 4, true);
  add_layer("layers.1.", 4, 3, false);
  add_layer("layers.2.", 6, 5, false);
  add_layer("mtp.0.", 0, 4, false);
  add_fp8("mtp.0.e_proj", 26, 26);
  add_fp8("mtp.0.h_proj", 26, 26);
  for (const char* name : {"enorm", "hnorm", "norm"}) {
    add(std::string("mtp.0.") + name + ".weight", "BF16", {26});
  }
  add_head_mix("mtp.0.");
}

// Random bytes that are legal values: no NaN scales, table entries below 3.
void TestModel::add(const std::string& name, const std::string& dtype, std::vector<int64_t> shape) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  const auto next = [&] {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  };
  std::string bytes;
  for (int64_t i = 0; i < n; ++i) {
    if (dtype == "F32") {
      const float value = static_cast<float>(next() % 2001) / 1000.0f - 1.0f;
      bytes.append(reinterpret_cast<const char*>(&value), 4);
    } else if (dtype == "BF16") {
      const uint16_t code = static_cast<uint16_t>(0x3F00 + next() % 0x80 + (next() % 2 << 15));
      bytes.append(reinterpret_cast<const char*>(&code), 2);
    } else if (dtype == "I64") {
      const int64_t value = next() % 3;
      bytes.append(reinterpret_cast<const char*>(&value), 8);
    } else if (dtype == "F8_E8M0") {
      bytes += static_cast<char>(120 + next() % 10);
    } else if (dtype == "F8_E4M3") {
      bytes += static_cast<char>(next() % 0x78 + (next() % 2 << 7));
    } else {
      bytes += static_cast<char>(next());
    }
  }
  tensors[name] = {dtype, std::move(shape), std::move(bytes)};
}

void TestModel::add_fp8(const std::string& name, int64_t rows, int64_t cols) {
  add(name + ".weight", "F8_E4M3", {rows, cols});
  add(name + ".scale", "F8_E8M0", {(rows + 127) / 128, (cols + 127) / 128});
}

void TestModel::add_fp4(const std::string& name, int64_t rows, int64_t cols) {
  add(name + ".weight", "I8", {rows, (cols + 1) / 2});
  add(name + ".scale", "F8_E8M0", {rows, (cols + 31) / 32});
}

void TestModel::chain_blocks(const std::vector<int>& experts) {
  std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("mtp."); });
  for (size_t i = 0; i < experts.size(); ++i) {
    add_layer("mtp." + std::to_string(i) + ".", 0, experts[i], false);
  }
  add_fp8("mtp.0.main_proj", 26, 52);
  add("mtp.0.main_norm.weight", "BF16", {26});
  const std::string last = "mtp." + std::to_string(experts.size() - 1) + ".";
  add(last + "norm.weight", "BF16", {26});
  add_head_mix(last);
  add(last + "markov_head.markov_w1.weight", "BF16", {17, 3});
  add(last + "markov_head.markov_w2.weight", "BF16", {17, 3});
  add(last + "confidence_head.proj.weight", "BF16", {1, 29});
  config["dspark_target_layer_ids"] = {0, 2};
  config["dspark_markov_rank"] = 3;
  config["dspark_block_size"] = 4;
  config["dspark_noise_token_id"] = 16;
}

void TestModel::add_head_mix(const std::string& prefix) {
  add(prefix + "hc_head_fn", "F32", {2, 52});
  add(prefix + "hc_head_base", "F32", {2});
  add(prefix + "hc_head_scale", "F32", {1});
}

void TestModel::add_layer(const std::string& prefix, int ratio, int n_experts, bool hashed) {
  for (const char* site : {"attn", "ffn"}) {
    add(prefix + site + "_norm.weight", "BF16", {26});
    add(prefix + "hc_" + site + "_fn", "F32", {8, 52});
    add(prefix + "hc_" + site + "_base", "F32", {8});
    add(prefix + "hc_" + site + "_scale", "F32", {3});
  }
  const std::string attn = prefix + "attn.", ffn = prefix + "ffn.";
  add(attn + "attn_sink", "F32", {2});
  add(attn + "q_norm.weight", "BF16", {10});
  add(attn + "kv_norm.weight", "BF16", {14});
  add_fp8(attn + "wq_a", 10, 26);
  add_fp8(attn + "wq_b", 28, 10);
  add_fp8(attn + "wkv", 14, 26);
  add_fp8(attn + "wo_a", 12, 14);
  add_fp8(attn + "wo_b", 26, 12);
  const auto add_compressor = [&](const std::string& name, int64_t dim) {
    const int64_t width = ratio == 4 ? 2 * dim : dim;
    add(name + "ape", "F32", {ratio, width});
    add(name + "wkv.weight", "BF16", {width, 26});
    add(name + "wgate.weight", "BF16", {width, 26});
    add(name + "norm.weight", "BF16", {dim});
  };
  if (ratio != 0) add_compressor(attn + "compressor.", 14);
  if (ratio == 4) {
    add_fp8(attn + "indexer.wq_b", 16, 10);
    add(attn + "indexer.weights_proj.weight", "BF16", {2, 26});
    add_compressor(attn + "indexer.compressor.", 8);
  }
  add(ffn + "gate.weight", "BF16", {n_experts, 26});
  if (hashed) {
    add(ffn + "gate.tid2eid", "I64", {17, 2});
  } else {
    add(ffn + "gate.bias", "F32", {n_experts});
  }
  for (int id = 0; id < n_experts; ++id) {
    const std::string expert = ffn + "experts." + std::to_string(id) + ".";
    add_fp4(expert + "w1", 9, 26);
    add_fp4(expert + "w2", 26, 9);
    add_fp4(expert + "w3", 9, 26);
  }
  add_fp8(ffn + "shared_experts.w1", 9, 26);
  add_fp8(ffn + "shared_experts.w2", 26, 9);
  add_fp8(ffn + "shared_experts.w3", 9, 26);
}

void TestModel::write(const fs::path& folder) const {
  write_text(folder / "config.json", config.dump());
  write_text(folder / "model.safetensors", safetensors_bytes(tensors));
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCheckpoint) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return std::string(error.what()) + " | " + error.hint();
  }
  return "";
}

fs::path shared_folder() {
  return test_support::shared_path("").value_or(fs::path());
}

}  // namespace ds4::weights
