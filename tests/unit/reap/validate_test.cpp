// Validation: a pruned checkpoint passes, each kind of damage is named, requantised weights are
// judged by their values; and DIR:kN names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "engine/api/checkpoints.h"
#include "engine/reap/compare.h"
#include "tests/unit/reap/fixtures.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using weights::StoredTensor;
using weights::StoredTensors;

// The tensors of a checkpoint as the test's own writer takes them.
StoredTensors tensors_of(const fs::path& folder) {
  StoredTensors tensors;
  const auto checkpoint = weights::Checkpoint::open(folder);
  for (const auto& tensor : checkpoint.tensors()) {
    tensors[tensor.name] = {
        std::string(weights::dtype_name(tensor.dtype)),
        tensor.shape,
        {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()}};
  }
  return tensors;
}

// A pruned checkpoint, written anew with `change` applied to its tensors.
class ValidateTest : public ::testing::Test {
 protected:
  ValidateTest() : test_(3) { prune(test_.options, no_progress); }

  fs::path changed(const std::function<void(StoredTensors&)>& change, bool with_plan = true) {
    const fs::path folder = test_.folder.path() / "changed";
    fs::remove_all(folder);
    fs::create_directories(folder);
    StoredTensors tensors = tensors_of(test_.options.out);
    change(tensors);
    weights::write_text(folder / "model.safetensors", weights::safetensors_bytes(tensors));
    fs::copy_file(test_.options.out / "config.json", folder / "config.json");
    if (with_plan) fs::copy_file(test_.options.out / "reap_plan.json", folder / "reap_plan.json");
    return folder;
  }
  Validation check(const fs::path& folder, bool requantised = false) {
    return validate(
        {.checkpoint = folder, .source = test_.options.source, .requantised = requantised});
  }
  std::string failure(const std::function<void(StoredTensors&)>& change, bool requantised = false) {
    const Validation result = check(changed(change), requantised);
    return result.failures.empty() ? "" : result.failures[0];
  }

  PruneCase test_;
};

TEST_F(ValidateTest, APrunedCheckpointIsValid) {
  const Validation result = check(test_.options.out);
  EXPECT_THAT(result.failures, IsEmpty());
  EXPECT_EQ(result.experts_per_block, (std::vector<int>{3, 3, 3, 3}));
  for (const GroupCheck& group : result.groups) {
    EXPECT_EQ(group.identical, group.tensors) << group.group;
    EXPECT_TRUE(group.passed);
  }
  EXPECT_EQ(result.groups.size(), 7u);
  EXPECT_THAT(validate({.checkpoint = test_.options.out, .source = {}}).failures, IsEmpty());
}

TEST_F(ValidateTest, FindsTheKeptExpertsWithoutAPlan) {
  const Validation result = check(changed([](StoredTensors&) {}, /*with_plan=*/false));
  EXPECT_THAT(result.failures, IsEmpty());
  EXPECT_THAT(result.notes, ::testing::Contains(HasSubstr("equal router rows")));
  // A router row that is nobody's.
  const auto spoil = [](StoredTensors& t) { t["layers.2.ffn.gate.weight"].bytes[60] ^= 1; };
  const Validation lost = check(changed(spoil, /*with_plan=*/false));
  ASSERT_EQ(lost.failures.size(), 1u);
  EXPECT_THAT(lost.failures[0], HasSubstr("layers.2.ffn.gate.weight: row 1"));
}

TEST_F(ValidateTest, EveryDamageIsNamed) {
  const auto flip = [](const std::string& name) {
    return [name](StoredTensors& tensors) { tensors.at(name).bytes[0] ^= 1; };
  };
  for (const char* name : {"embed.weight", "layers.1.attn.wq_a.weight", "layers.0.hc_attn_fn",
                           "layers.1.ffn.shared_experts.w2.scale", "layers.2.ffn.gate.weight",
                           "layers.2.ffn.gate.bias", "mtp.0.ffn.experts.2.w1.weight",
                           "layers.0.ffn.experts.0.w3.scale", "mtp.0.e_proj.weight"}) {
    EXPECT_THAT(failure(flip(name)), HasSubstr(name));
  }
  // Experts in another order: every byte is some expert's, but not this one's.
  EXPECT_THAT(failure([](StoredTensors& t) {
                std::swap(t["layers.2.ffn.experts.0.w1.weight"],
                          t["layers.2.ffn.experts.1.w1.weight"]);
              }),
              HasSubstr("layers.2.ffn.experts.0.w1.weight"));
  EXPECT_THAT(failure([](StoredTensors& t) {
                t["unknown"] = {"F32", {1}, std::string(4, 0)};
              }),
              HasSubstr("unknown"));
  EXPECT_THAT(failure([](StoredTensors& t) { t.erase("norm.weight"); }), HasSubstr("norm.weight"));
  EXPECT_THAT(failure([](StoredTensors& t) { t["layers.0.ffn.gate.tid2eid"].bytes[8] = 3; }),
              HasSubstr("names expert 3"));
}

TEST_F(ValidateTest, HashTableEntriesOfKeptExpertsAreFixedTheOthersAreNot) {
  // In the parent's table, find an entry of a kept and one of a dropped expert.
  const std::string name = "layers.0.ffn.gate.tid2eid";
  const StoredTensor parent = tensors_of(test_.options.source).at(name);
  const std::vector<int>& kept = test_.plan.blocks[0].kept;
  std::ptrdiff_t of_kept = -1;
  std::ptrdiff_t of_dropped = -1;
  for (size_t at = 0; at < parent.bytes.size(); at += 8) {
    const bool stays = std::count(kept.begin(), kept.end(), parent.bytes[at]) > 0;
    (stays ? of_kept : of_dropped) = static_cast<std::ptrdiff_t>(at);
  }
  ASSERT_GE(of_kept, 0);
  ASSERT_GE(of_dropped, 0);
  const auto turn = [&](std::ptrdiff_t at) {
    return [&name, at](StoredTensors& t) {
      char& id = t[name].bytes[static_cast<size_t>(at)];
      id = static_cast<char>((id + 1) % 3);
    };
  };
  EXPECT_THAT(failure(turn(of_kept)), HasSubstr("1 entries of kept experts"));
  const Validation other_rule = check(changed(turn(of_dropped)));
  EXPECT_THAT(other_rule.failures, IsEmpty());
  EXPECT_THAT(other_rule.notes, ::testing::Contains(HasSubstr("another rule")));
}

// BF16 values of an FP8 matrix, each moved by `error` of its size.
void to_bf16(StoredTensors& tensors, const std::string& name, float error) {
  const StoredTensor codes = tensors.at(name + ".weight");
  const StoredTensor scales = tensors.at(name + ".scale");
  std::string bytes;
  for (size_t i = 0; i < codes.bytes.size(); ++i) {
    const auto code = static_cast<unsigned char>(codes.bytes[i]);
    const int exponent = code >> 3 & 15;
    const double mantissa = (code & 7) / 8.0 + (exponent ? 1 : 0);
    double value = std::ldexp(mantissa, (exponent ? exponent : 1) - 7) * (code & 128 ? -1 : 1);
    value = std::ldexp(value, static_cast<unsigned char>(scales.bytes[0]) - 127);
    const float stored = static_cast<float>(value) * (i % 2 ? 1 + error : 1 - error);
    uint32_t bits = 0;
    std::memcpy(&bits, &stored, 4);
    bytes += static_cast<char>(bits >> 16 & 255);
    bytes += static_cast<char>(bits >> 24);
  }
  tensors[name + ".weight"] = {"BF16", codes.shape, bytes};
  tensors.erase(name + ".scale");
}

TEST_F(ValidateTest, RequantisedWeightsAreJudgedByTheirValues) {
  const std::string name = "layers.1.attn.wq_a";
  const auto by = [&](float error) {
    return [&name, error](StoredTensors& tensors) { to_bf16(tensors, name, error); };
  };
  EXPECT_THAT(failure(by(0)), HasSubstr(name)) << "without --requantised";
  EXPECT_EQ(failure(by(0), true), "");
  EXPECT_EQ(failure(by(0.05F), true), "");
  EXPECT_THAT(failure(by(0.2F), true), HasSubstr(name + ".weight is too far"));
  const Validation exact = check(changed(by(0)), true);
  for (const GroupCheck& group : exact.groups) {
    EXPECT_NEAR(group.cosine, 1, 1e-12);
    EXPECT_NEAR(group.relative_mae, 0, 1e-12);
  }
  const Validation moved = check(changed(by(0.05F)), true);
  const auto attention = std::find_if(moved.groups.begin(), moved.groups.end(),
                                      [](const GroupCheck& g) { return g.group == "attention"; });
  EXPECT_NEAR(attention->relative_mae, 0.05, 0.005);
  EXPECT_NEAR(attention->cosine, 1 / std::sqrt(1 + 0.05 * 0.05), 1e-4);
  EXPECT_EQ(attention->worst, name + ".weight");
}

TEST(Siblings, AreMadeOnceFromThePlanBesideTheWeights) {
  const PruneCase test(3);
  const fs::path cache = test.folder.path() / "cache";
  ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  const fs::path source = test.options.source;
  fs::create_directories(source / "plans");
  fs::copy_file(test.options.plan, source / "plans/k3.json");

  EXPECT_EQ(resolve_checkpoint(source), source);
  EXPECT_EQ(resolve_checkpoint("no/such:kind"), fs::path("no/such:kind"));
  EXPECT_THAT(message_of([&] { resolve_checkpoint(source.string() + ":k4"); }),
              HasSubstr("plans/k4.json"));

  const fs::path sibling = resolve_checkpoint(source.string() + ":k3");
  EXPECT_TRUE(sibling.string().starts_with((cache / "ds4-sweep/checkpoints/source-k3-").string()));
  EXPECT_THAT(validate({.checkpoint = sibling, .source = source}).failures, IsEmpty());
  const auto written = fs::last_write_time(sibling / "config.json");
  EXPECT_EQ(resolve_checkpoint(source.string() + ":k3"), sibling);
  EXPECT_EQ(fs::last_write_time(sibling / "config.json"), written);
  // Nothing else is left in the cache.
  EXPECT_EQ(std::distance(fs::directory_iterator(sibling.parent_path()), {}), 1);

  // Another plan is another sibling.
  weights::write_text(source / "plans/k3.json",
                      plan_text(make_plan(made_up_observation(source), 3)) + "\n");
  EXPECT_NE(resolve_checkpoint(source.string() + ":k3"), sibling);
  ::unsetenv("XDG_CACHE_HOME");
}

}  // namespace
}  // namespace ds4::reap
