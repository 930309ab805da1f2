// Lint rules: each fires on a profile that breaks it alone and is silent with the change it names;
// docs/lint.md says what the code says; what the shipped profiles have is listed.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "engine/base/files.h"
#include "profiles/schema/plan.h"
#include "runners/fit/lint.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::runners::fit {
namespace {

using ::testing::HasSubstr;
using Names = std::set<std::string>;
using Settings = std::vector<std::string>;

// Breaks no rule on a Spark.
constexpr const char* kSound = R"(
checkpoint = "synthetic:k144"
[engine]
device = "cuda"
context_length = 400000
prefill_chunk = 8192
[[suite]]
name = "needle"
lengths = [32768, 65536, 186390]
samples = [20]
max_tokens = 4096
[[suite]]
name = "speed"
lengths = [8192]
samples = [3]
max_tokens = 256
[limits]
case_timeout = "1h"
memory_floor = "6GiB"
)";

std::vector<Finding> lint_on(const profiles::Profile& cell, const profiles::Machine* machine) {
  if (!machine || cell.target != "engine") return lint({cell, machine});
  const Prediction prediction = predict(cell);
  const Verdict verdict = judge(prediction, *machine, floors_of(cell, *machine));
  return lint({cell, machine, &prediction, &verdict});
}

Names names(const std::vector<Finding>& findings) {
  Names names;
  for (const Finding& finding : findings) names.insert(finding.rule->id);
  return names;
}

class Lint : public ::testing::Test {
 protected:
  Lint() { write_file_atomic(folder_ / "sound.toml", kSound); }

  profiles::Profile sound(const Settings& settings = {}) const {
    return profiles::load_profile(folder_ / "sound.toml", settings);
  }

  const profiles::Machine spark_ = profiles::load_machine("spark");
  const profiles::Machine h200_ = profiles::load_machine("h200");

 private:
  test_support::TemporaryFolder folder_;
};

const std::string kHeadBlock = "launch.env.VLLM_TRITON_MLA_SPARSE_HEAD_BLOCK_SIZE=4";

// A launch that breaks no rule, and what makes it break one.
Settings launch(const Settings& broken) {
  Settings settings = {"launch.server=vllm", "launch.image=own",
                       "launch.flags.kv-cache-memory-bytes=6G"};
  settings.insert(settings.end(), broken.begin(), broken.end());
  return settings;
}

// By rule: what makes kSound break it.
const std::map<std::string, Settings> kBroken = {
    {"small-chunk", {"engine.prefill_chunk=4096"}},
    {"low-floor", {"limits.memory_floor=1024"}},
    {"drafts-high-floor", {"engine.draft_tokens=2", "limits.memory_floor=8GiB"}},
    {"drafts-little-margin",
     {"engine.draft_tokens=2", "checkpoint=synthetic:k160", "limits.memory_floor=7.9GiB"}},
    {"device-weights", {"checkpoint=synthetic:k180"}},
    {"managed-weights", {"engine.residency=managed"}},
    {"plain-kv", {"engine.kv_dtype=bf16", "engine.context_length=1000000"}},
    {"long-prompt-first", {"needle.lengths=[8192, 131072]"}},
    {"context-beyond-model", {"engine.context_length=1048577"}},
    {"prompt-beyond-context", {"engine.context_length=190485"}},
    {"sequences-of-long-prompts",
     {"engine.sequences=2", "needle.lengths=[32768, 262144]", "engine.context_length=270000"}},
    {"speed-of-sequences", {"engine.sequences=2", "speed.lengths=[32768]"}},
    {"case-timeout", {"limits.case_timeout=10m"}},
    {"needle-residues", {"needle.residues=[2]"}},
    {"short-answers", {"speed.max_tokens=255"}},
    {"few-speed-samples", {"speed.samples=[2]"}},
    {"thinking-budget", {"needle.thinking=true", "needle.max_tokens=4095"}},
    {"stop-strings", {"sampling.stop=[\"def\"]"}},
    {"expandable-segments",
     launch({"launch.env.PYTORCH_CUDA_ALLOC_CONF=x:1,expandable_segments:True"})},
    {"profiled-memory", {"launch.server=vllm", "launch.image=own"}},
    {"high-utilization", launch({"launch.flags.gpu-memory-utilization=0.85"})},
    {"pool-small-chunk", launch({"launch.flags.max-num-batched-tokens=4096"})},
    {"expert-number", {"launch.server=vllm", "launch.flags.kv-cache-memory-bytes=6G"}},
    {"nvfp4-fp8-kv", launch({"launch.model=a/b-NVFP4"})},
    {"w4a16-shards",
     launch({"launch.model=a/b-W4A16", "launch.flags.tensor-parallel-size=4", kHeadBlock})},
    {"w4a16-one-gpu", launch({"launch.flags.quantization=w4a16", kHeadBlock})},
    {"w4a16-head-block", launch({"launch.model=a/b-W4A16", "launch.flags.tensor-parallel-size=2"})},
    {"separate-drafter", launch({"launch.flags.speculative-config=\"{\\\"model\\\":\\\"d\\\"}\"",
                                 "engine.draft_tokens=1"})},
    {"sglang-staging", {"launch.server=sglang"}},
};

TEST_F(Lint, ASoundProfileHasNoFindings) {
  EXPECT_EQ(names(lint_on(sound(), nullptr)), Names());
  EXPECT_EQ(names(lint_on(sound(), &spark_)), Names());
  EXPECT_EQ(names(lint_on(sound(), &h200_)), Names());
}

TEST_F(Lint, EachRuleFiresAloneAndEndsWithTheChangeItNames) {
  EXPECT_EQ(kBroken.size(), lint_rules().size());
  for (const Rule& rule : lint_rules()) {
    ASSERT_TRUE(kBroken.contains(rule.id)) << rule.id;
    Settings settings = kBroken.at(rule.id);
    const auto findings = lint_on(sound(settings), &spark_);
    EXPECT_EQ(names(findings), Names{rule.id});
    EXPECT_EQ(names(lint_on(sound(settings), nullptr)),
              rule.needs_machine ? Names() : Names{rule.id});
    if (findings.empty()) continue;
    settings.push_back(findings[0].change.key + "=" + findings[0].change.value);
    EXPECT_FALSE(names(lint_on(sound(settings), &spark_)).contains(rule.id)) << settings.back();
  }
}

TEST_F(Lint, WhatHappenedOnSharedMemoryIsNotSaidOfACard) {
  for (const Rule& rule : lint_rules()) {
    if (!std::string(rule.when).starts_with("a shared GPU")) continue;
    EXPECT_EQ(names(lint_on(sound(kBroken.at(rule.id)), &h200_)), Names()) << rule.id;
  }
}

TEST_F(Lint, FewSamplesMissResiduesThatAreListed) {
  const auto findings = lint_on(sound({"needle.samples=[1]"}), nullptr);
  ASSERT_EQ(names(findings), Names{"needle-residues"});
  EXPECT_EQ(findings[0].change.key, "needle.samples");
  EXPECT_EQ(names(lint_on(sound({"needle.samples=" + findings[0].change.value}), nullptr)),
            Names());
}

TEST_F(Lint, ALaunchIsJudgedWithoutItsCheckpoint) {
  profiles::Profile cell = sound(launch({"launch.flags.gpu-memory-utilization=0.9"}));
  cell.checkpoint = "/not/there";
  EXPECT_EQ(lint_launch({cell}).size(), 1u);
  cell.target = "null";
  EXPECT_EQ(names(lint({cell})), Names{"high-utilization"});
}

TEST_F(Lint, ATargetWithoutAnEngineHasNone) {
  EXPECT_EQ(names(lint_on(sound({"target=null", "speed.samples=[1]"}), nullptr)), Names());
}

TEST_F(Lint, OfTheShippedProfiles) {
  const Names k160 = {"small-chunk",   "needle-residues",  "few-speed-samples",
                      "expert-number", "high-utilization", "pool-small-chunk"};
  const std::map<std::string, Names> expected = {
      {"tiny", {}},
      {"tiny-agreement", {}},
      {"tiny-family", {}},
      {"tiny-frontier", {}},
      {"tiny-logits", {}},
      {"tiny-needle", {}},
      {"tiny-roofline", {}},
      {"needle-ladder", {}},
      {"quality", {}},
      {"server", {}},
      {"server-ds4-k180-spark", {}},
      {"server-llama-cpp", {}},
      {"server-sglang-508b-nvfp4-8gpu", {}},
      {"server-vllm-k160-spark", {"high-utilization", "pool-small-chunk"}},
      {"server-vllm-w4a16-2-rtx6000", {"high-utilization", "profiled-memory"}},
      {"server-vllm-w4a16-2-sparks", {"high-utilization", "profiled-memory"}},
      {"synthetic-k160", {"small-chunk", "few-speed-samples"}},
      {"k160-mtp2-200k", k160},
      {"k160-nospec-200k", k160},
      {"k144-nospec-200k", {"needle-residues", "few-speed-samples"}},
      {"k144-mtp2-200k", {"drafts-high-floor", "needle-residues", "few-speed-samples"}},
      {"k180-mtp2-200k", {"small-chunk", "device-weights", "needle-residues", "few-speed-samples"}},
      {"k180-1m", {"small-chunk", "long-prompt-first", "needle-residues", "few-speed-samples"}},
  };
  std::map<std::string, Names> found;
  for (const auto& entry :
       std::filesystem::directory_iterator(test_support::source_dir() / "profiles")) {
    if (entry.path().extension() != ".toml") continue;
    Names& all = found[entry.path().stem()];
    for (const profiles::Cell& cell :
         profiles::make_plan(profiles::load_profile(entry.path())).cells) {
      const bool large = entry.path().stem().string().starts_with("k1");
      all.merge(names(lint_on(cell.profile, large ? &spark_ : nullptr)));
    }
  }
  EXPECT_EQ(found, expected);
}

TEST_F(Lint, TheTableOfTheDocumentationSaysTheSame) {
  const std::string page = read_file(test_support::source_dir() / "docs/lint.md", 1 << 20);
  std::string table =
      "| rule | looks at | fires on | what happened | source |\n|---|---|---|---|---|\n";
  for (const Rule& rule : lint_rules()) {
    table += std::string("| `") + rule.id + "`" + (rule.needs_machine ? " *" : "") + " | " +
             rule.keys + " | " + rule.when + " | " + rule.why + " | " + rule.source + " |\n";
  }
  EXPECT_THAT(page, HasSubstr(table));
}

}  // namespace
}  // namespace ds4::runners::fit
