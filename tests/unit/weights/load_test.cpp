// load_weights: values, every layer kind, misaligned files, and what only data can show to be
// wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "engine/weights/codecs/decode.h"
#include "engine/weights/codecs/e2m1.h"
#include "engine/weights/codecs/e4m3.h"
#include "engine/weights/weights.h"
#include "tests/support/source_dir.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

// The same tensor decoded by its definition, from the bytes the test itself made.
float expected_value(const TestModel& model, const std::string& name, int row, int col, int cols) {
  const StoredTensor& weight = model.tensors.at(name + ".weight");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(weight.bytes[i]); };
  if (weight.dtype == "BF16") {
    const size_t at = 2 * static_cast<size_t>(row * cols + col);
    const uint32_t bits = static_cast<uint32_t>(byte(at) | byte(at + 1) << 8) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  const StoredTensor& scale = model.tensors.at(name + ".scale");
  const bool fp4 = weight.dtype == "I8";
  const size_t scale_at = fp4 ? static_cast<size_t>(row * scale.shape[1] + col / 32) : 0;
  const int exponent = static_cast<uint8_t>(scale.bytes[scale_at]) - 127;
  if (!fp4) return std::ldexp(e4m3_value(byte(static_cast<size_t>(row * cols + col))), exponent);
  const uint8_t pair = byte(static_cast<size_t>(row * ((cols + 1) / 2) + col / 2));
  return std::ldexp(e2m1_decode(col % 2 ? pair >> 4 : pair), exponent);
}

void expect_matrix(const TestModel& model, const std::string& name, const Matrix& matrix) {
  std::vector<float> row(static_cast<size_t>(matrix.cols));
  for (int r = 0; r < matrix.rows; ++r) {
    decode_row(matrix, r, 0, matrix.cols, row.data());
    for (int c = 0; c < matrix.cols; ++c) {
      ASSERT_EQ(row[static_cast<size_t>(c)],
                expected_value(model, name, r, c, static_cast<int>(matrix.cols)))
          << name << " " << r << " " << c;
    }
  }
}

void expect_model(const TestModel& model, const ModelWeights& weights) {
  ASSERT_EQ(weights.layers.size(), 3u);
  expect_matrix(model, "embed", weights.embed);
  expect_matrix(model, "layers.0.attn.wo_a", weights.layers[0].attn.wo_a);
  expect_matrix(model, "layers.1.ffn.experts.2.w2", weights.layers[1].ffn.experts[2].w2);
  expect_matrix(model, "layers.2.ffn.experts.4.w3", weights.layers[2].ffn.experts[4].w3);
  expect_matrix(model, "layers.2.ffn.shared_experts.w1", weights.layers[2].ffn.shared.w1);
  expect_matrix(model, "layers.2.attn.compressor.wgate", weights.layers[2].attn.compressor->wgate);
  expect_matrix(model, "layers.1.attn.indexer.compressor.wkv",
                weights.layers[1].attn.indexer->compressor.wkv);
  expect_matrix(model, "mtp.0.h_proj", weights.mtp->h_proj);
  float first;
  std::memcpy(&first, model.tensors.at("layers.2.hc_ffn_base").bytes.data(), 4);
  EXPECT_EQ(weights.layers[2].hc_ffn.base[0], first);
  int64_t id;
  std::memcpy(&id, model.tensors.at("layers.0.ffn.gate.tid2eid").bytes.data() + 8 * 33, 8);
  EXPECT_EQ(weights.layers[0].ffn.tid2eid[33], id);
}

TEST(LoadWeights, FillsEveryLayerKind) {
  const TemporaryFolder folder;
  const TestModel model;
  model.write(folder.path());
  ModelWeights loaded = load_weights(folder.path());
  const ModelWeights weights = std::move(loaded);  // matrices must survive a move
  expect_model(model, weights);

  const Layer& csa = weights.layers[1];
  EXPECT_EQ(csa.attn.compressor->width, 28);
  EXPECT_EQ(csa.attn.compressor->ape.size(), 4u * 28u);
  EXPECT_EQ(csa.attn.indexer->compressor.width, 16);
  EXPECT_EQ(csa.ffn.bias.size(), 3u);
  EXPECT_TRUE(csa.ffn.tid2eid.empty());
  const Layer& hca = weights.layers[2];
  EXPECT_EQ(hca.attn.compressor->width, 14);
  EXPECT_FALSE(hca.attn.indexer.has_value());
  const Layer& swa = weights.layers[0];
  EXPECT_TRUE(swa.hashed);
  EXPECT_TRUE(swa.ffn.bias.empty());
  EXPECT_EQ(swa.ffn.tid2eid.size(), 34u);
  EXPECT_FALSE(swa.attn.compressor.has_value());
  EXPECT_TRUE(weights.mtp.has_value());
  EXPECT_EQ(weights.identity.size(), 64u);
}

TEST(LoadWeights, FillsTheBlocksOfDspark) {
  const TemporaryFolder folder;
  TestModel model;
  model.chain_blocks({4, 5});
  model.write(folder.path());
  const ModelWeights weights = load_weights(folder.path());
  EXPECT_FALSE(weights.mtp.has_value());
  ASSERT_TRUE(weights.dspark.has_value());
  const Dspark& dspark = *weights.dspark;
  ASSERT_EQ(dspark.blocks.size(), 2u);
  EXPECT_EQ(dspark.blocks[1].ffn.n_experts(), 5);
  expect_matrix(model, "mtp.0.main_proj", dspark.main_proj);
  expect_matrix(model, "mtp.1.attn.wkv", dspark.blocks[1].attn.wkv);
  expect_matrix(model, "mtp.1.markov_head.markov_w1", dspark.markov_w1);
  expect_matrix(model, "mtp.1.markov_head.markov_w2", dspark.markov_w2);
  EXPECT_EQ(dspark.hc_head.base.size(), 2u);
}

// Every shift of the data section, so that each element type meets every misalignment.
TEST(LoadWeights, DoesNotDependOnAlignment) {
  const TestModel model;
  for (size_t pad = 0; pad < 8; ++pad) {
    const TemporaryFolder folder;
    write_text(folder.path() / "config.json", model.config.dump());
    write_text(folder.path() / "model.safetensors", safetensors_bytes(model.tensors, {}, pad));
    const ModelWeights weights = load_weights(folder.path());
    expect_model(model, weights);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.embed.data) % 2, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.hc_head.fn.data) % 4, 0u);
  }
}

TEST(LoadWeights, ChecksTheWholeHashTable) {
  for (const int64_t id : {int64_t{4}, int64_t{-1}, int64_t{1} << 40, INT64_MIN}) {
    for (const size_t at : {size_t{0}, size_t{33}}) {
      const TemporaryFolder folder;
      TestModel model;
      std::memcpy(model.tensors["layers.0.ffn.gate.tid2eid"].bytes.data() + 8 * at, &id, 8);
      model.write(folder.path());
      const std::string error = error_of([&] { load_weights(folder.path()); });
      EXPECT_NE(error.find("layers.0.ffn.gate.tid2eid"), std::string::npos) << error;
      EXPECT_NE(error.find("expert " + std::to_string(id) + " for token " + std::to_string(at / 2)),
                std::string::npos)
          << error;
    }
  }
}

// Some exporters narrow the table; the ids are the same.
TEST(LoadWeights, TakesHashTablesOf32Bits) {
  TestModel model;
  StoredTensor& table = model.tensors["layers.0.ffn.gate.tid2eid"];
  std::vector<int32_t> ids(34);
  for (size_t i = 0; i < ids.size(); ++i) {
    int64_t id;
    std::memcpy(&id, table.bytes.data() + 8 * i, 8);
    ids[i] = static_cast<int32_t>(id);
  }
  const auto store = [&] {
    table = {"I32", {17, 2}, std::string(reinterpret_cast<const char*>(ids.data()), 136)};
  };
  store();
  const TemporaryFolder folder;
  model.write(folder.path());
  EXPECT_EQ(load_weights(folder.path()).layers[0].ffn.tid2eid, ids);
  ids[33] = 4;
  store();
  model.write(folder.path());
  EXPECT_NE(error_of([&] { load_weights(folder.path()); }).find("expert 4 for token 16"),
            std::string::npos);
}

TEST(LoadWeights, RefusesNanScales) {
  for (const char* name :
       {"layers.0.attn.wq_a.scale", "layers.1.ffn.experts.1.w2.scale", "mtp.0.e_proj.scale"}) {
    const TemporaryFolder folder;
    TestModel model;
    model.tensors[name].bytes.back() = static_cast<char>(255);
    model.write(folder.path());
    const std::string error = error_of([&] { load_weights(folder.path()); });
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_NE(error.find("NaN"), std::string::npos) << error;
  }
}

TEST(LoadWeights, RefusesNanCodesOfFp8) {
  for (const auto& [code, at] : {std::pair{0x7F, 0}, {0xFF, 26 * 10 - 1}}) {
    const TemporaryFolder folder;
    TestModel model;
    const std::string name = "layers.0.attn.wq_a.weight";  // [10, 26]
    model.tensors[name].bytes[static_cast<size_t>(at)] = static_cast<char>(code);
    model.write(folder.path());
    const std::string error = error_of([&] { load_weights(folder.path()); });
    EXPECT_NE(error.find(name), std::string::npos) << error;
    const std::string where =
        "row " + std::to_string(at / 26) + ", column " + std::to_string(at % 26);
    EXPECT_NE(error.find(where), std::string::npos) << error;
  }
}

TEST(LoadWeights, ReadsTheDefaultCheckpoint) {
  const auto folder = test_support::source_dir() / "checkpoints" / "tiny";
  if (!std::filesystem::exists(folder / "config.json")) GTEST_SKIP() << "no checkpoints/tiny";
  const ModelWeights weights = load_weights(folder);
  EXPECT_EQ(weights.layers.size(), static_cast<size_t>(weights.config.num_hidden_layers));
  EXPECT_TRUE(weights.mtp.has_value());
  for (const Layer& layer : weights.layers) {
    EXPECT_EQ(layer.ffn.experts[0].w1.format, Matrix::Format::kFp4);
    EXPECT_EQ(layer.attn.wq_a.format, Matrix::Format::kFp8);
  }
}

// Written by another program from the specification alone: single and sharded, odd sizes, BF16.
TEST(LoadWeights, ReadsEveryGoldenModel) {
  const auto models = test_support::source_dir() / "tests" / "golden" / "vectors" / "models";
  if (!std::filesystem::is_directory(models)) GTEST_SKIP() << "no golden models";
  for (const auto& entry : std::filesystem::directory_iterator(models)) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const ModelWeights weights = load_weights(entry.path());
    EXPECT_EQ(weights.layers.size(), weights.config.compress_ratios.size());
    EXPECT_EQ(weights.embed.rows, weights.config.vocab_size);
  }
}

}  // namespace
}  // namespace ds4::weights
