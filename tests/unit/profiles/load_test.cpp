// Profiles that are right: defaults, overlays, paths, overrides.
#include <gtest/gtest.h>

#include "profiles/schema/nearest.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

constexpr char kWhole[] = R"(
name = "whole"
description = "every section once"
checkpoint = "../weights"

[engine]
device = "cpu"
kv_dtype = "bf16"
index_dtype = "bf16"
residency = "managed"
context_length = 4096
prefill_chunk = 64
threads = 2
seed = 7

[sampling]
temperature = 0.7
top_k = 40
min_p = 0.05
top_p = 0.95
repetition_penalty = 1.1
presence_penalty = -0.5
frequency_penalty = 1
stop = ["END", "\n\n"]

[[suite]]
name = "needle"
lengths = [1024]
share = 1
style = "instructed"

[[suite]]
name = "smoke"

[[gate]]
suite = "needle"
score = "exact"
tags = { length = 1024, depth = "0.50" }
min = 0.98
min_n = 64

[[gate]]
metric = "ttft"
max = "500ms"

[[gate]]
metric = "peak_memory"
max = "2GiB"

[sweep]
"needle.lengths" = [[512], [1024, 2048]]
engine.kv_dtype = ["fp8", "bf16"]

[limits]
cell_timeout = "30m"
case_timeout = 90
)";

TEST(LoadProfile, ReadsEverySection) {
  const ProfileLoader loader;
  const Profile profile = loader.load(kWhole);
  EXPECT_EQ(profile.name, "whole");
  EXPECT_EQ(profile.text, kWhole);
  EXPECT_EQ(profile.target, "engine");
  EXPECT_EQ(profile.engine.kv_dtype, "bf16");
  EXPECT_EQ(profile.engine.index_dtype, "bf16");
  EXPECT_EQ(profile.engine.residency, "managed");
  EXPECT_EQ(profile.engine.context_length, 4096);
  EXPECT_EQ(profile.engine.prefill_chunk, 64);
  EXPECT_EQ(profile.engine.threads, 2);
  EXPECT_EQ(profile.engine.seed, 7u);
  EXPECT_EQ(profile.sampling,
            (suites::Sampling{0.7, 40, 0.05, 0.95, 1.1, -0.5, 1, {"END", "\n\n"}}));
  EXPECT_EQ(profile.cell_timeout_s, 1800);
  EXPECT_EQ(profile.case_timeout_s, 90);

  ASSERT_EQ(profile.suites.size(), 2u);
  const auto& parameters = profile.suites[0].parameters;
  EXPECT_EQ(profile.suites[0].version, 3);
  EXPECT_EQ(profile.suites[0].scores, (std::vector<std::string>{"exact", "near"}));
  EXPECT_EQ(std::get<std::vector<int64_t>>(parameters.at("lengths")), (std::vector<int64_t>{1024}));
  EXPECT_EQ(std::get<double>(parameters.at("share")), 1.0) << "an integer where a number is meant";
  EXPECT_EQ(std::get<std::string>(parameters.at("style")), "instructed");
  EXPECT_EQ(std::get<int64_t>(parameters.at("cases")), 4) << "a default";

  ASSERT_EQ(profile.gates.size(), 3u);
  EXPECT_EQ(profile.gates[0].tags.at("length"), "1024");
  EXPECT_EQ(profile.gates[0].min_n, 64);
  EXPECT_TRUE(profile.gates[0].has_min);
  EXPECT_FALSE(profile.gates[0].has_max);
  EXPECT_EQ(profile.gates[0].source, loader.path().string() + ":35");
  EXPECT_DOUBLE_EQ(profile.gates[1].max, 0.5);
  EXPECT_DOUBLE_EQ(profile.gates[2].max, 2147483648.0);

  ASSERT_EQ(profile.axes.size(), 2u);
  using Values = std::vector<std::vector<std::string>>;
  EXPECT_EQ(profile.axes[0].name(), "needle.lengths") << "in the order of the file";
  EXPECT_EQ(profile.axes[0].values, (Values{{"[512]"}, {"[1024, 2048]"}}));
  EXPECT_EQ(profile.axes[1].name(), "engine.kv_dtype");
  EXPECT_EQ(profile.axes[1].values, (Values{{"\"fp8\""}, {"\"bf16\""}}));
}

TEST(LoadProfile, ResolvesPathsAgainstTheProfilesFolder) {
  const ProfileLoader loader;
  const Profile profile = loader.load(kWhole);
  EXPECT_TRUE(profile.checkpoint.is_absolute());
  EXPECT_EQ(profile.checkpoint, loader.path().parent_path().parent_path() / "weights");
}

TEST(LoadProfile, NamesAProfileAfterItsFile) {
  EXPECT_EQ(ProfileLoader().load("target = \"null\"\n[[suite]]\nname = \"smoke\"\n").name, "p");
}

TEST(LoadProfile, AppliesOverridesAndRecordsThem) {
  const ProfileLoader loader;
  const std::vector<std::string> overrides = {
      "engine.prefill_chunk=7",   "engine.index_dtype=fp4", "needle.lengths=[96, 128]",
      "needle.style=it = quoted", "limits.case_timeout=2m", "name=other",
      "checkpoint=somewhere/else"};
  const Profile profile = loader.load(kWhole, overrides);
  EXPECT_EQ(profile.engine.prefill_chunk, 7);
  EXPECT_EQ(profile.engine.index_dtype, "fp4");
  EXPECT_EQ(std::get<std::vector<int64_t>>(profile.suites[0].parameters.at("lengths")),
            (std::vector<int64_t>{96, 128}));
  EXPECT_EQ(std::get<std::string>(profile.suites[0].parameters.at("style")), "it = quoted");
  EXPECT_EQ(profile.case_timeout_s, 120);
  EXPECT_EQ(profile.name, "other");
  EXPECT_EQ(profile.checkpoint, std::filesystem::current_path() / "somewhere/else");
  EXPECT_EQ(profile.overrides, overrides);
  // The key was swept; a value set on the command line replaces its axis.
  ASSERT_EQ(profile.axes.size(), 1u);
  EXPECT_EQ(profile.axes[0].name(), "engine.kv_dtype");
}

TEST(LoadProfile, AnOverrideCanAddASectionAndAnAxis) {
  const ProfileLoader loader;
  const std::string text = "target = \"null\"\n[[suite]]\nname = \"needle\"\n";
  const Profile profile =
      loader.load(text, {"engine.threads=1", "sweep.engine.seed=[1, 2]", "limits.cell_timeout=5"});
  EXPECT_EQ(profile.engine.threads, 1);
  EXPECT_EQ(profile.cell_timeout_s, 5);
  ASSERT_EQ(profile.axes.size(), 1u);
  EXPECT_EQ(profile.axes[0].values.size(), 2u);
}

TEST(LoadProfile, AScriptedTargetNeedsNoCheckpoint) {
  const ProfileLoader loader;
  const Profile profile =
      loader.load("target = \"scripted\"\nscript = \"s.json\"\n[[suite]]\nname = \"smoke\"\n");
  EXPECT_EQ(profile.script, (loader.path().parent_path() / "s.json").string());
  EXPECT_TRUE(profile.checkpoint.empty());
}

}  // namespace
}  // namespace ds4::profiles
