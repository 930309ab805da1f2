// Synthetic checkpoints: names, inventory against the real headers, the generator against its
// definition written out again, memory against disk, and what must be refused.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "engine/api/inventory.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/codecs/f32.h"
#include "engine/weights/config.h"
#include "engine/weights/source.h"
#include "engine/weights/structure.h"
#include "engine/weights/synthetic/write.h"
#include "engine/weights/weights.h"
#include "tests/support/file_size_limit.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

using synthetic::Fill;
using synthetic::Recipe;

// Five layers hold every kind; 7 experts divide by nothing.
constexpr const char* kMicro = "synthetic:k7:layers=5:shape=micro";

TEST(SyntheticName, TakenApartAndPutTogether) {
  const synthetic::Spec spec = synthetic::parse_spec("synthetic:k96:seed=9:layers=4:shape=micro");
  EXPECT_EQ(spec.n_experts, 96);
  EXPECT_EQ(spec.n_layers, 4);
  EXPECT_EQ(spec.seed, 9u);
  EXPECT_EQ(spec.name(), "synthetic:k96:layers=4:seed=9:shape=micro");
  EXPECT_EQ(synthetic::parse_spec("synthetic:k160").name(), "synthetic:k160");
  for (const char* bad : {"synthetic:", "synthetic:160", "synthetic:k5", "synthetic:k257",
                          "synthetic:k6:layers=0", "synthetic:k6:layers=44", "synthetic:k6:layers=",
                          "synthetic:k6:depth=3", "synthetic:k6:layers=2x", "synthetic:k6:seed=-1",
                          "synthetic:k6:shape=huge", "synthetic:k6::layers=2"}) {
    EXPECT_THROW(synthetic::parse_spec(bad), Error) << bad;
  }
}

TEST(SyntheticName, FoldersStayFolders) {
  EXPECT_FALSE(is_synthetic_name("/models/synthetic:k6"));
  EXPECT_FALSE(is_synthetic_name("./synthetic:k6"));
  EXPECT_FALSE(is_synthetic_name("checkpoints/tiny"));
  EXPECT_TRUE(is_synthetic_name("synthetic:k6"));
  EXPECT_EQ(resolve_source("checkpoints/tiny").directory, "checkpoints/tiny");
  EXPECT_FALSE(is_synthetic_name("tiny:k6"));
}

// model.md 7.1, made of the real headers: the backbone's totals of K160.
TEST(SyntheticLayout, BackboneEqualsTheRealHeaders) {
  const Inventory inventory = take_inventory("synthetic:k160");
  std::map<std::string, Inventory::Component> parts;
  for (const auto& part : inventory.components) parts[part.name] = part;
  EXPECT_EQ(parts["attention projections"].bytes_per_token, 4599478144);
  EXPECT_EQ(parts["routed experts"].bytes_per_token, 3449290752);
  EXPECT_EQ(inventory.experts_per_layer, std::vector<int>(43, 160));
  EXPECT_EQ(inventory.mtp, "classic");
  EXPECT_TRUE(is_synthetic_identity(inventory.identity));
  EXPECT_EQ(inventory.kv_bytes_per_token_fp8, 3514.25);
}

TEST(SyntheticLayout, LayersKeepTheirKinds) {
  const ModelConfig config = read_config("synthetic:k6:layers=5");
  EXPECT_EQ(config.compress_ratios, (std::vector<int>{0, 0, 4, 128, 4}));
  EXPECT_EQ(config.num_hash_layers, 3);
  EXPECT_EQ(config.synthetic, "synthetic:k6:layers=5");
  EXPECT_EQ(read_config("synthetic:k6:layers=1").num_hash_layers, 1);
}

// The definition of values.h once more, one element at a time, in plain steps.
uint64_t plain_mix(uint64_t z) {
  z ^= z >> 30;
  z *= 0xBF58476D1CE4E5B9u;
  z ^= z >> 27;
  z *= 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
uint8_t random_byte(uint64_t key, uint64_t at) {
  return static_cast<uint8_t>(plain_mix(key + 0x9E3779B97F4A7C15u * (at / 8 + 1)) >> (at % 8 * 8));
}
std::vector<std::byte> bytes_of(const Recipe& recipe, int64_t first, size_t size) {
  std::vector<std::byte> bytes(size, std::byte{0xA5});
  synthetic::generate(recipe, first, bytes);
  return bytes;
}

TEST(SyntheticValues, FollowTheirDefinition) {
  const std::string name = "layers.3.ffn.gate.weight";
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  const uint64_t key = synthetic::tensor_key(5, name.data(), name.size());
  EXPECT_EQ(key, plain_mix(5 * 0x9E3779B97F4A7C15u + hash));
  // SplitMix64 with seed 0 begins with this number.
  EXPECT_EQ(synthetic::word(0, 0), 0xE220A8397B1DCDAFu);

  const size_t n = 1000 + 5;  // ends inside a word
  const auto fp8 = bytes_of({.key = key, .fill = Fill::kFp8}, 16, n);
  const auto scale = bytes_of({.key = key, .fill = Fill::kScale, .exponent = -6}, 16, n);
  const auto pairs = bytes_of({.key = key, .fill = Fill::kFp4Pairs}, 16, n);
  const Recipe uniform = {.key = key, .fill = Fill::kUniformBf16, .exponent = -3, .centre = 1};
  const auto bf16 = bytes_of(uniform, 16, n - 1);
  Recipe wide = uniform;
  wide.fill = Fill::kUniformF32;
  const auto f32 = bytes_of(wide, 16, n - 1);
  for (size_t i = 0; i < n; ++i) {
    const uint8_t random = random_byte(key, i + 16);
    EXPECT_EQ(static_cast<int>(pairs[i]), random);
    EXPECT_EQ(static_cast<int>(fp8[i]), (random & 128) | ((random & 31) + 0x28));
    EXPECT_EQ(static_cast<int>(scale[i]), random % 2 ? 120 : 121);
  }
  for (size_t i = 0; i + 1 < n - 1; i += 2) {
    const auto random =
        static_cast<int16_t>(random_byte(key, i + 16) | random_byte(key, i + 17) << 8);
    const double value = 1 + std::ldexp(random, -3 - 15);
    EXPECT_NEAR(load_bf16(bf16.data() + i), value, value / 256);
  }
  for (size_t i = 0; i + 3 < n - 1; i += 4) {
    uint32_t random = 0;
    for (size_t b = 0; b < 4; ++b) random |= uint32_t{random_byte(key, i + 16 + b)} << (8 * b);
    const double value = 1 + std::ldexp(static_cast<int32_t>(random) >> 8, -3 - 23);
    EXPECT_EQ(load_f32(f32.data() + i), static_cast<float>(value));
  }
}

TEST(SyntheticValues, AnyRangeGivesTheSameBytes) {
  const Recipe recipe = {.key = 77, .fill = Fill::kUniformBf16, .exponent = 1};
  const auto whole = bytes_of(recipe, 0, 4096);
  for (const int64_t first : {8, 24, 1000, 4088}) {
    const auto part = bytes_of(recipe, first, static_cast<size_t>(4096 - first));
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + first, part.size()), 0) << first;
  }
}

TEST(SyntheticValues, EveryExpertIsEquallyLikelyAndNoneTwiceInARow) {
  constexpr int kExperts = 160, kTokens = 20000;
  std::vector<int> uses(kExperts);
  for (int t = 0; t < kTokens; ++t) {
    std::set<int64_t> row;
    for (int j = 0; j < 6; ++j) {
      const int64_t id = synthetic::expert_id(123, static_cast<uint64_t>(t * 6 + j), kExperts, 6);
      ASSERT_TRUE(id >= 0 && id < kExperts);
      row.insert(id);
      ++uses[static_cast<size_t>(id)];
    }
    EXPECT_EQ(row.size(), 6u);
  }
  const double mean = kTokens * 6.0 / kExperts;
  for (const int n : uses) EXPECT_NEAR(n, mean, 6 * std::sqrt(mean));
}

class SyntheticFiles : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(SyntheticFiles, DiskHoldsWhatMemoryHolds) {
  const auto path = folder_.path() / "out";
  int64_t seen = 0, all = 0;
  synthetic::write_checkpoint(synthetic::parse_spec(kMicro), path, {{"tokenizer.json", "{}"}},
                              [&](int64_t done, int64_t total) { seen = done, all = total; });
  EXPECT_EQ(seen, all);
  const Checkpoint disk = Checkpoint::open(path);
  Checkpoint memory = Checkpoint::open(kMicro);
  memory.generate();
  EXPECT_EQ(disk.files().size(), 5u + 3);
  ASSERT_EQ(disk.tensors().size(), memory.tensors().size());
  for (size_t i = 0; i < disk.tensors().size(); ++i) {
    const TensorRef& a = disk.tensors()[i];
    const TensorRef& b = memory.tensors()[i];
    ASSERT_EQ(a.name, b.name);
    EXPECT_EQ(a.dtype, b.dtype) << a.name;
    EXPECT_EQ(a.shape, b.shape) << a.name;
    ASSERT_EQ(a.data.size(), b.data.size()) << a.name;
    EXPECT_EQ(std::memcmp(a.data.data(), b.data.data(), a.data.size()), 0) << a.name;
  }
  const ModelConfig config = read_config(path);
  EXPECT_EQ(config.synthetic, kMicro);
  EXPECT_TRUE(is_synthetic_identity(model_identity(config, disk)));
  const Structure structure = validate_structure(config, disk);
  EXPECT_EQ(structure.experts_per_layer, std::vector<int>(5, 7));
  EXPECT_EQ(structure.mtp, MtpFlavour::kClassic);
}

TEST_F(SyntheticFiles, AFailureLeavesNothingBehind) {
  const auto path = folder_.path() / "out";
  const auto stop = [](int64_t, int64_t) { throw Error(ErrorCode::kIo, "stopped", ""); };
  EXPECT_THROW(synthetic::write_checkpoint(synthetic::parse_spec(kMicro), path, {}, stop), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  std::filesystem::create_directory(path);
  EXPECT_THROW(synthetic::write_checkpoint(synthetic::parse_spec(kMicro), path, {}, nullptr),
               Error);
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST_F(SyntheticFiles, AFullDiskIsNamedAndLeavesNothing) {
  const auto path = folder_.path() / "out";
  const auto write = [&] {
    synthetic::write_checkpoint(synthetic::parse_spec(kMicro), path, {}, nullptr);
  };
  {
    const test_support::FileSizeLimit limit(100'000);
    try {
      write();
      FAIL() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find(".safetensors: cannot write"), std::string::npos)
          << error.what();
      EXPECT_NE(error.hint().find("Free space"), std::string::npos) << error.hint();
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST(SyntheticWeights, LoadAndDifferBySeed) {
  const ModelWeights a = load_weights(kMicro);
  const ModelWeights b = load_weights(std::string(kMicro) + ":seed=1");
  ASSERT_EQ(a.layers.size(), 5u);
  EXPECT_TRUE(a.mtp.has_value());
  EXPECT_TRUE(is_synthetic_identity(a.identity));
  EXPECT_NE(a.identity, b.identity);
  EXPECT_NE(a.layers[0].attn.sink, b.layers[0].attn.sink);
  EXPECT_NE(a.layers[0].attn.sink, a.layers[1].attn.sink);
}

}  // namespace
}  // namespace ds4::weights
