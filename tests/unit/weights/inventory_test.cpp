// take_inventory and read_model_info on a small model whose totals are easy to state.
#include "engine/api/inventory.h"

#include <gtest/gtest.h>

#include "engine/api/session.h"
#include "engine/ops/rows.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

const Inventory::Component* component(const Inventory& inventory, const std::string& name) {
  for (const auto& part : inventory.components) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

TEST(Inventory, AddsUpToTheFiles) {
  const TemporaryFolder folder;
  TestModel model;
  model.add("somewhere.else", "F32", {5});
  model.write(folder.path());
  const Inventory inventory = take_inventory(folder.path());
  int64_t bytes = 0, tensors = 0, per_token = 0;
  for (const auto& [name, tensor] : model.tensors) bytes += tensor.bytes.size();
  EXPECT_EQ(inventory.tensor_bytes, bytes);
  EXPECT_EQ(inventory.n_tensors, static_cast<int64_t>(model.tensors.size()));
  bytes = 0;
  for (const auto& part : inventory.components) {
    bytes += part.bytes;
    tensors += part.tensors;
    per_token += part.bytes_per_token;
  }
  EXPECT_EQ(bytes, inventory.tensor_bytes);
  EXPECT_EQ(tensors, inventory.n_tensors);
  EXPECT_EQ(per_token, inventory.bytes_per_token);
  bytes = 0;
  for (const auto& dtype : inventory.dtypes) bytes += dtype.bytes;
  EXPECT_EQ(bytes, inventory.tensor_bytes);

  // 2 of the experts of each layer: w1, w3 9x13 + 9 scales, w2 26x5 + 26 scales.
  EXPECT_EQ(component(inventory, "routed experts")->bytes_per_token, 3 * 2 * (2 * 126 + 156));
  EXPECT_EQ(component(inventory, "MTP blocks")->bytes_per_token, 0);
  EXPECT_EQ(component(inventory, "not used")->bytes, 20);
  EXPECT_EQ(component(inventory, "hash routing tables")->bytes, 17 * 2 * 8);
  EXPECT_EQ(inventory.mtp, "classic");
  EXPECT_EQ(inventory.experts_per_layer, (std::vector<int>{4, 3, 5}));
}

TEST(Inventory, CacheRowsAreThoseOfTheEngine) {
  using ops::RowFormat;
  using ops::RowLayout;
  const TemporaryFolder folder;
  for (const int head_dim : {5, 14, 15, 131}) {
    TestModel model;
    model.config["head_dim"] = head_dim;
    // Only the shapes that follow head_dim change.
    for (auto& [name, tensor] : TestModel().tensors) {
      std::vector<int64_t> shape = tensor.shape;
      for (int64_t& size : shape) {
        if (size == 14) size = head_dim;
        if (size == 28) size = 2 * head_dim;
      }
      if (name.ends_with(".wo_a.weight")) shape = {12, head_dim};
      if (name.ends_with(".wq_b.scale") && name.find("indexer") == std::string::npos) {
        shape = {(2 * head_dim + 127) / 128, 1};
      }
      if (name.ends_with(".wo_a.scale")) shape = {1, (head_dim + 127) / 128};
      if (name.ends_with("attn.wkv.scale")) shape = {(head_dim + 127) / 128, 1};
      if (shape != tensor.shape) model.add(name, tensor.dtype, shape);
    }
    model.write(folder.path());
    const Inventory inventory = take_inventory(folder.path());
    const double kv = static_cast<double>(RowLayout{RowFormat::kFp8, head_dim, 4}.bytes());
    const double key = static_cast<double>(RowLayout{RowFormat::kFp4, 8, 4}.bytes());
    EXPECT_DOUBLE_EQ(inventory.kv_bytes_per_token_fp8, (kv + key) / 4 + kv / 6) << head_dim;
    EXPECT_DOUBLE_EQ(inventory.kv_bytes_per_token_bf16,
                     (2 * head_dim + 16) / 4.0 + 2 * head_dim / 6.0);
    EXPECT_EQ(inventory.kv_fixed_bytes_fp8, 3 * 5 * static_cast<int64_t>(kv));
  }
}

TEST(ModelInfo, ComesFromConfigAndHeaders) {
  const TemporaryFolder folder;
  TestModel().write(folder.path());
  const ModelInfo info = read_model_info(folder.path());
  EXPECT_EQ(info.model_type, "deepseek_v4");
  EXPECT_EQ(info.n_layers, 3);
  EXPECT_EQ(info.hidden_size, 26);
  EXPECT_EQ(info.vocab_size, 17);
  EXPECT_EQ(info.context_limit, 4096);
  EXPECT_EQ(info.experts_per_layer, (std::vector<int>{4, 3, 5}));
  EXPECT_EQ(info.most_drafts, 3);
  EXPECT_EQ(info.identity, take_inventory(folder.path()).identity);
}

}  // namespace
}  // namespace ds4::weights
