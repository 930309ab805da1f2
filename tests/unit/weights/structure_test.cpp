// The loader rules of model.md 1.3 and the shapes and dtypes of 2.1: each broken in one place.
#include "engine/weights/structure.h"

#include <gtest/gtest.h>

#include <ostream>

#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

Structure structure_of(const TestModel& model) {
  const TemporaryFolder folder;
  model.write(folder.path());
  return validate_structure(read_config(folder.path()), Checkpoint::open(folder.path()));
}

TEST(Structure, CountsExpertsByTheRouterOfEachLayer) {
  const Structure structure = structure_of(TestModel());
  EXPECT_EQ(structure.experts_per_layer, (std::vector<int>{4, 3, 5}));
  EXPECT_EQ(structure.experts_per_mtp_block, (std::vector<int>{4}));
  EXPECT_EQ(structure.mtp, MtpFlavour::kClassic);
}

TEST(Structure, AnyMatrixMayBeStoredInAnyFormat) {
  TestModel model;
  const auto restore = [&](const std::string& name, int64_t rows, int64_t cols, const char* dtype) {
    model.tensors.erase(name + ".scale");
    model.add(name + ".weight", dtype, {rows, cols});
  };
  restore("layers.0.attn.wq_a", 10, 26, "BF16");
  restore("layers.1.ffn.experts.2.w2", 26, 9, "F32");
  restore("layers.1.ffn.experts.1.w2", 26, 9, "BF16");
  model.tensors.erase("layers.0.ffn.experts.0.w1.scale");
  model.add_fp8("layers.0.ffn.experts.0.w1", 9, 26);
  model.add_fp4("layers.2.attn.wo_b", 26, 12);
  model.add("layers.1.hc_attn_fn", "BF16", {8, 52});
  model.add("head.weight", "F32", {17, 26});
  model.add("layers.1.ffn.gate.weight", "F32", {3, 26});
  EXPECT_EQ(structure_of(model).experts_per_layer, (std::vector<int>{4, 3, 5}));
}

TEST(Structure, RecognisesMtpByNames) {
  TestModel model;
  std::erase_if(model.tensors, [](const auto& item) { return item.first.starts_with("mtp."); });
  EXPECT_EQ(structure_of(model).mtp, MtpFlavour::kNone);

  TestModel dspark;
  for (const char* name : {"e_proj", "h_proj"}) {
    dspark.tensors.erase(std::string("mtp.0.") + name + ".weight");
    dspark.tensors.erase(std::string("mtp.0.") + name + ".scale");
  }
  dspark.add_fp8("mtp.0.main_proj", 26, 52);
  dspark.add("mtp.0.main_norm.weight", "BF16", {26});
  dspark.add("mtp.0.markov_head.markov_w1.weight", "BF16", {17, 3});
  dspark.add("mtp.0.markov_head.markov_w2.weight", "BF16", {17, 3});
  dspark.add("mtp.0.confidence_head.proj.weight", "BF16", {1, 29});
  EXPECT_NE(error_of([&] { structure_of(dspark); }).find("dspark_target_layer_ids"),
            std::string::npos);
  dspark.config["dspark_target_layer_ids"] = {0, 2};
  dspark.config["dspark_markov_rank"] = 3;
  dspark.config["dspark_noise_token_id"] = 16;
  EXPECT_NE(error_of([&] { structure_of(dspark); }).find("dspark_block_size"), std::string::npos);
  dspark.config["dspark_block_size"] = 4;
  EXPECT_EQ(structure_of(dspark).mtp, MtpFlavour::kDspark);
  dspark.add("mtp.2.norm.weight", "BF16", {26});
  EXPECT_NE(error_of([&] { structure_of(dspark); }).find("mtp.1."), std::string::npos);
}

// Releases with three blocks say num_nextn_predict_layers = 1.
TEST(Structure, CountsMtpBlocksByTheirTensorsNotTheConfig) {
  for (const nlohmann::json& said :
       {nlohmann::json(0), nlohmann::json(1), nlohmann::json(7), nlohmann::json()}) {
    TestModel model;
    model.chain_blocks({5, 5, 5});
    model.config["num_nextn_predict_layers"] = said;
    // More experts than the backbone: pruned or not, a block's own router counts.
    EXPECT_EQ(structure_of(model).experts_per_mtp_block, (std::vector<int>{5, 5, 5}))
        << said.dump();
  }
}

TEST(Structure, EveryTensorIsNeeded) {
  const TestModel complete;
  for (const auto& [name, tensor] : complete.tensors) {
    if (name == "mtp.0.e_proj.weight") continue;  // decides the flavour; tested below
    TestModel model = complete;
    model.tensors.erase(name);
    const std::string error = error_of([&] { structure_of(model); });
    EXPECT_NE(error.find(name), std::string::npos) << name << ": " << error;
  }
}

TEST(Structure, EveryShapeIsChecked) {
  const TestModel complete;
  for (const auto& [name, tensor] : complete.tensors) {
    TestModel model = complete;
    StoredTensor& changed = model.tensors[name];
    const int64_t element = static_cast<int64_t>(changed.bytes.size());
    changed.shape.back() += 1;
    int64_t n = 1;
    for (const int64_t size : tensor.shape) n *= size;
    int64_t grown = 1;
    for (const int64_t size : changed.shape) grown *= size;
    changed.bytes.resize(static_cast<size_t>(element / n * grown));
    const std::string error = error_of([&] { structure_of(model); });
    EXPECT_NE(error.find(name), std::string::npos) << name << ": " << error;
  }
}

struct Damage {
  const char* what;
  void (*apply)(TestModel&);
  const char* named;
};

void PrintTo(const Damage& bad, std::ostream* out) {
  *out << bad.what;
}

class StructureRefuses : public testing::TestWithParam<Damage> {};

TEST_P(StructureRefuses, TheTensorByName) {
  TestModel model;
  GetParam().apply(model);
  const std::string error = error_of([&] { structure_of(model); });
  EXPECT_NE(error.find(GetParam().named), std::string::npos) << GetParam().what << ": " << error;
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, StructureRefuses,
    testing::Values(
        Damage{"an expert without a router row",
               [](TestModel& m) { m.add_fp4("layers.0.ffn.experts.4.w1", 9, 26); },
               "layers.0.ffn.experts.4.w1"},
        Damage{"an expert that is no number",
               [](TestModel& m) { m.add_fp4("layers.0.ffn.experts.x.w1", 9, 26); },
               "layers.0.ffn.experts.x.w1"},
        Damage{"a router with more rows than experts",
               [](TestModel& m) {
                 m.add("layers.1.ffn.gate.weight", "BF16", {4, 26});
                 m.add("layers.1.ffn.gate.bias", "F32", {4});
               },
               "layers.1.ffn.experts.3.w1"},
        Damage{"a router with rows for fewer experts than are chosen",
               [](TestModel& m) {
                 m.add("layers.1.ffn.gate.weight", "BF16", {1, 26});
               },
               "num_experts_per_tok"},
        Damage{"a router without rows",
               [](TestModel& m) {
                 m.add("layers.1.ffn.gate.weight", "BF16", {0, 26});
               },
               "layers.1.ffn.gate.weight"},
        Damage{"a router that is a vector",
               [](TestModel& m) { m.add("layers.1.ffn.gate.weight", "BF16", {26}); },
               "layers.1.ffn.gate.weight"},
        Damage{"a bias of another length",
               [](TestModel& m) { m.add("layers.1.ffn.gate.bias", "F32", {4}); },
               "layers.1.ffn.gate.bias"},
        Damage{"a hash table in a score layer",
               [](TestModel& m) {
                 m.add("layers.1.ffn.gate.tid2eid", "I64", {17, 2});
               },
               "layers.1.ffn.gate.tid2eid"},
        Damage{"a compressor in a window-only layer",
               [](TestModel& m) {
                 m.add("layers.0.attn.compressor.wkv.weight", "BF16", {14, 26});
               },
               "layers.0.attn.compressor.wkv"},
        Damage{"an indexer where the ratio is not 4",
               [](TestModel& m) { m.add_fp8("layers.2.attn.indexer.wq_b", 16, 10); },
               "layers.2.attn.indexer.wq_b"},
        Damage{"a layer too many", [](TestModel& m) { m.add("layers.3.x", "F32", {1}); },
               "layers.3.x"},
        Damage{"a float matrix with scales",
               [](TestModel& m) {
                 m.add("layers.0.attn.wq_a.weight", "BF16", {10, 26});
               },
               "layers.0.attn.wq_a.scale"},
        Damage{"F16",
               [](TestModel& m) {
                 m.tensors["layers.0.attn.wkv.weight"] = {"F16", {14, 26}, std::string(728, 0)};
               },
               "F16"},
        Damage{"E5M2",
               [](TestModel& m) { m.tensors["layers.0.attn.wkv.weight"].dtype = "F8_E5M2"; },
               "F8_E5M2"},
        Damage{
            "FP4 in its logical shape",
            [](TestModel& m) {
              m.tensors["layers.0.ffn.experts.0.w1.weight"] = {"I8", {9, 26}, std::string(234, 0)};
            },
            "two FP4 numbers a byte, so [9,13] belongs here"},
        Damage{"U8 instead of I8",
               [](TestModel& m) { m.tensors["layers.0.ffn.experts.0.w1.weight"].dtype = "U8"; },
               "layers.0.ffn.experts.0.w1.weight"},
        Damage{"scales as U8",
               [](TestModel& m) { m.tensors["layers.0.attn.wq_a.scale"].dtype = "U8"; }, "F8_E8M0"},
        Damage{"a quantised router",
               [](TestModel& m) {
                 m.tensors["layers.0.ffn.gate.weight"] = {"F8_E4M3", {4, 26}, std::string(104, 0)};
               },
               "unquantised"},
        Damage{"a norm in I64", [](TestModel& m) { m.add("norm.weight", "I64", {26}); },
               "norm.weight"},
        Damage{"an MTP block of no known kind",
               [](TestModel& m) { m.tensors.erase("mtp.0.e_proj.weight"); }, "mtp.0."},
        Damage{"a second classic MTP block",
               [](TestModel& m) { m.add("mtp.1.norm.weight", "BF16", {26}); },
               "mtp.1.norm.weight"}));

}  // namespace
}  // namespace ds4::weights
