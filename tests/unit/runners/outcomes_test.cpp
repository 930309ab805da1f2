// What others saw on a DGX Spark beside what our engine is predicted to do there. Every row names
// its source. Rows whose sizes nobody has published are unknown, and stay so: nothing is fitted to
// an outcome. The table of docs/machines.md holds the same rows.
#include <gmock/gmock.h>

#include <cstdio>
#include <optional>

#include "engine/base/files.h"
#include "profiles/schema/machine.h"
#include "runners/fit/verdict.h"
#include "tests/support/source_dir.h"

namespace ds4::runners::fit {
namespace {

using test_support::source_dir;

struct Ours {
  Fit fit;
  double margin_gib;
};

struct Row {
  const char* checkpoint;
  const char* setting;
  const char* published;
  const char* source;
  const char* profile;  // of profiles/, with --set; or why nothing is predicted
  std::vector<std::string> set = {};
  std::optional<Ours> ours = std::nullopt;
};

constexpr const char* kCard = "0xSero, model card of the 180B";
constexpr const char* kSero = "0xSero/deepseek-spark";
constexpr const char* kSleepy = "sleepyeldrazi/ds4-nvfp4-spark";
constexpr const char* kNobody = "-";
constexpr const char* kNoSizes = "unknown: sizes unpublished";
constexpr const char* kOtherFormat = "unknown: another format";
constexpr const char* kOneMachine = "not supported: one machine";

// A million tokens: k180-1m with other experts and KV formats.
std::vector<std::string> million(int experts, const char* kv) {
  return {"checkpoint=synthetic:k" + std::to_string(experts), std::string("engine.kv_dtype=") + kv};
}
std::vector<std::string> experts(int n) {
  return {"checkpoint=synthetic:k" + std::to_string(n)};
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"K144",
       "200K",
       "ok; killed at teardown",
       kSero,
       "k144-nospec-200k",
       {},
       Ours{Fit::kFits, 14.9}},
      {"K144",
       "200K, two drafts",
       "not safe at long context",
       kSero,
       "k144-mtp2-200k",
       {},
       Ours{Fit::kFits, 13.0}},
      {"K160",
       "200K, two drafts",
       "ok, 3 GB over the floor",
       kCard,
       "k160-mtp2-200k",
       {},
       Ours{Fit::kFits, 8.0}},
      {"K160",
       "200K",
       "ok at 136,534 tokens",
       kSero,
       "k160-nospec-200k",
       {},
       Ours{Fit::kFits, 10.2}},
      {"K180",
       "200K, two drafts",
       "nothing",
       kNobody,
       "k180-mtp2-200k",
       {},
       Ours{Fit::kDoesNotFit, -2.9}},
      {"K192", "200K, two drafts", "nothing", kNobody, "k160-mtp2-200k", experts(192),
       Ours{Fit::kDoesNotFit, -9.5}},
      {"K256", "200K, two drafts", "nothing", kNobody, "k160-mtp2-200k", experts(256),
       Ours{Fit::kDoesNotFit, -44.6}},
      {"K144", "1M, packed KV", "nothing", kNobody, "k180-1m", million(144, "fp8"),
       Ours{Fit::kFits, 16.0}},
      {"K144", "1M, BF16 KV", "nothing", kNobody, "k180-1m", million(144, "bf16"),
       Ours{Fit::kFits, 13.6}},
      {"K160", "1M, packed KV", "nothing", kNobody, "k180-1m", million(160, "fp8"),
       Ours{Fit::kFits, 7.4}},
      {"K160", "1M, BF16 KV", "nothing", kNobody, "k180-1m", million(160, "bf16"),
       Ours{Fit::kFits, 5.0}},
      {"K180", "1M, packed KV", "a hybrid of NVFP4 and Q2_K fits, peak 102.8 GiB", kSleepy,
       "k180-1m", million(180, "fp8"), Ours{Fit::kDoesNotFit, -3.3}},
      {"K180", "1M, BF16 KV", "the hybrid: KV overflow", kSleepy, "k180-1m", million(180, "bf16"),
       Ours{Fit::kDoesNotFit, -5.7}},
      {"K192", "1M, packed KV", "nothing", kNobody, "k180-1m", million(192, "fp8"),
       Ours{Fit::kDoesNotFit, -9.7}},
      {"K192", "1M, BF16 KV", "nothing", kNobody, "k180-1m", million(192, "bf16"),
       Ours{Fit::kDoesNotFit, -12.1}},
      {"K256", "1M, packed KV", "nothing", kNobody, "k180-1m", million(256, "fp8"),
       Ours{Fit::kDoesNotFit, -44.0}},
      {"K256", "1M, BF16 KV", "nothing", kNobody, "k180-1m", million(256, "bf16"),
       Ours{Fit::kDoesNotFit, -46.4}},
      {"148B", "any", "fails before it serves", kCard, kNoSizes},
      {"200B", "any", "fails before it serves", kCard, kNoSizes},
      {"213B", "any", "fails before it serves", kCard, kNoSizes},
      {"K128 hybrid, 75 GiB", "no managed memory", "ok", kSleepy, kOtherFormat},
      {"K150 hybrid, 86 GiB", "managed memory", "ok; without it out of memory", kSleepy,
       kOtherFormat},
      {"256 experts, IQ2_XXS, 81 GiB", "default", "ok", kSleepy, kOtherFormat},
      {"256 experts, W4A16-FP8, 143 GB", "two Sparks", "ok to 1M",
       "canada-quant/dsv4-flash-w4a16-fp8", kOneMachine},
      {"K144", "two Sparks", "nothing", kNobody, kOneMachine},
      {"K160", "two Sparks", "nothing", kNobody, kOneMachine},
      {"K180", "two Sparks", "nothing", kNobody, kOneMachine},
      {"K192", "two Sparks", "nothing", kNobody, kOneMachine},
      {"K256", "two Sparks", "nothing", kNobody, kOneMachine},
  };
  return all;
}

std::string markdown(const Row& row) {
  char ours[64];
  if (row.ours) {
    std::snprintf(ours, sizeof ours, "%s, %+.1f", fit_name(row.ours->fit), row.ours->margin_gib);
  } else {
    std::snprintf(ours, sizeof ours, "%s", row.profile);
  }
  return std::string("| ") + row.checkpoint + " | " + row.setting + " | " + row.published + " | " +
         row.source + " | " + ours + " |\n";
}

TEST(Outcomes, AreThoseOfTheTable) {
  for (const Row& row : rows()) {
    if (!row.ours) continue;
    const profiles::Profile cell = profiles::load_profile(
        source_dir() / "profiles" / (std::string(row.profile) + ".toml"), row.set);
    const profiles::Machine spark = profiles::load_machine("spark");
    const Verdict verdict = judge(predict(cell), spark, floors_of(cell, spark));
    const double margin = static_cast<double>(verdict.margin()) / (int64_t{1} << 30);
    EXPECT_EQ(verdict.fit, row.ours->fit) << row.checkpoint << " " << row.setting << " " << margin;
    EXPECT_NEAR(margin, row.ours->margin_gib, 0.25) << row.checkpoint << " " << row.setting;
  }
}

TEST(Outcomes, StandInTheDocumentation) {
  const std::string text = read_file(source_dir() / "docs" / "machines.md");
  for (const Row& row : rows()) {
    EXPECT_NE(text.find(markdown(row)), std::string::npos) << markdown(row);
  }
}

}  // namespace
}  // namespace ds4::runners::fit
